"""`seq2seq runs`: what each run was, and what came of it."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .lineage import Trained, lineage
from .run_folder import is_busy
from .run_records import RunRecord, read_runs

WIDTH = 140


def print_runs(output: Path, last: int | None, as_json: bool) -> None:
    """Prints the runs of an output folder, oldest first.

    Raises:
      NoRuns: it holds no record.
    """
    runs = read_runs(output, last)
    # The lock is looked at only where it matters, for looking holds it a moment.
    if runs and runs[-1].verdict == "stopped" and is_busy(output):
        runs[-1] = runs[-1]._replace(verdict="running")
    if as_json:
        print(json.dumps([run.to_json() for run in runs], ensure_ascii=False, indent=2))
        return
    table = Table("run", "started", title=escape(str(output)), title_justify="left")
    table.add_column("took", justify="right")
    for name in ("spans", "verdict", "version", "components"):
        table.add_column(name)
    for run in runs:
        table.add_row(
            str(run.id),
            f"{datetime.fromtimestamp(run.started):%Y-%m-%d %H:%M}",
            f"{run.finished - run.started:,.0f} s",
            ", ".join(run.spans),
            run.verdict.replace("_", " "),
            run.version or "",
            _components(run),
        )
    # In a pipe or a log there is no terminal's width to keep to.
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(highlight=False, soft_wrap=True, width=width)
    console.print(table)
    for run in runs:
        if run.reason:
            console.print(f"run {run.id}: {run.reason}", markup=False)


def print_lineage(output: Path, version: str, as_json: bool) -> None:
    """Prints what a pushed version was learned from.

    Raises:
      NoRuns: the folder holds no record.
      UnknownVersion: no run pushed it.
    """
    chain = lineage(output, version)
    if as_json:
        print(json.dumps([link._asdict() for link in chain], ensure_ascii=False, indent=2))
        return
    print("\n".join(_told(link) for link in chain))


def _told(link: Trained) -> str:
    name = f"version {link.version}" if link.version else "a model that was not pushed"
    spans = f"spans {', '.join(link.spans)}" if link.spans else "data without spans"
    return f"{name}: {spans}; run {link.run}; {link.model}"


def _components(run: RunRecord) -> str:
    """How many in which state, and which did not end well."""
    counts = [
        f"{list(run.components.values()).count(state)} {state}"
        for state in ("done", "cached")
        if state in run.components.values()
    ]
    others = [f"{name} {s}" for name, s in run.components.items() if s not in ("done", "cached")]
    return ", ".join([*counts, *others])
