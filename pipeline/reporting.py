"""The summary at the end of a run, for people."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..components.batch_predictor import COUNTS
from ..serving.server.version_folder import versions_in
from .summary import RunSummary


def print_summary(summary: RunSummary, config_path: Path, notes: Sequence[str] = ()) -> None:
    """Prints what ran, what came of it and what to do next.

    Args:
      summary: of the run.
      config_path: of the job.
      notes: about the rules of its gate.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    console.print(_components(summary))
    console.print(_pairs(summary.counts))
    console.print(_metrics(summary.verdict))
    console.print(_cost(summary.verdict["cost"]))
    for rule in summary.verdict["rules"]:
        console.print(f"  gate: {_rule(rule)}", markup=False)
    for note in notes:
        console.print(f"  gate: {note}", markup=False)
    for fault in summary.infra["faults"]:
        console.print(f"  infra validation: {fault}", markup=False)
    if summary.predictions and summary.released:
        counts = json.loads((summary.predictions / COUNTS).read_text("utf-8"))
        console.print(
            f"predictions: {counts['answered']:,} lines answered, {counts['rejected']:,} "
            f"rejected, in {os.path.relpath(summary.predictions)}",
            markup=False,
        )
    if summary.released:
        place = os.path.relpath(summary.pushed_to or "")
        console.print(f"[bold green]BLESSED[/] and pushed to {escape(place)}")
        if hidden := _newer_than(Path(summary.pushed_to or "")):
            console.print(f"[bold yellow]note[/]: {escape(hidden)}")
        console.print(f"next: echo hello | seq2seq predict --model {place}", markup=False)
    else:
        blessed = summary.verdict["blessed"]
        why = "blessed, but not servable" if blessed else "NOT BLESSED"
        console.print(f"[bold red]{why}[/]: nothing was pushed")
        mend = (
            "the model, or infra_validation,"
            if blessed
            else "the data, the model or the gate's rules"
        )
        console.print(f"next: mend {mend} in {config_path}", markup=False)


def _newer_than(pushed: Path) -> str | None:
    """What to know where a run that came from the cache had been pushed before another."""
    newest = versions_in(pushed.parent)[:1]
    if not newest or newest[0] <= int(pushed.name):
        return None
    return (
        f"that was an earlier run, and version {newest[0]} is newer: it answers wherever no "
        f"label says otherwise. To go back: seq2seq versions promote {pushed.name} --model "
        f"{os.path.relpath(pushed.parent)}"
    )


def _components(summary: RunSummary) -> Table:
    table = Table("component", "state", title="components", title_justify="left")
    table.add_column("time", justify="right")
    for node in summary.nodes:
        time = "" if node.state == "cached" else f"{node.seconds:.1f} s"
        table.add_row(node.node, node.state, time)
    table.add_row("all", "", f"{sum(node.seconds for node in summary.nodes):.1f} s")
    return table


def _pairs(counts: dict[str, Any]) -> str:
    rejected = sum(counts["rejected"].values())
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in counts["rejected"].items())
    splits = ", ".join(f"{split} {n:,}" for split, n in counts["examples"].items())
    return (
        f"pairs: {counts['read']:,} read, {counts['accepted']:,} accepted, {rejected:,} rejected"
        f"{f' ({reasons})' if reasons else ''}; examples: {splits}"
    )


def _metrics(verdict: dict[str, Any]) -> Table:
    baseline = verdict["baseline"]
    table = Table(
        "metric",
        "this model",
        f"{_percent(verdict['confidence'])} interval",
        *(["last blessed"] if baseline else []),
        title=f"test split, {verdict['examples']:,} sources",
        title_justify="left",
    )
    for name, figure in sorted(verdict["candidate"].items()):
        interval = " to ".join(map(_number, verdict["intervals"]["candidate"][name]))
        others = [_number(baseline[name])] if baseline else []
        table.add_row(name, _number(figure), interval, *others)
    return table


def _cost(cost: dict[str, Any]) -> str:
    """What the export takes."""
    if cost["latency_ms"] is None:
        return f"export: {cost['size_mb']:.1f} MB"
    return (
        f"export: {cost['size_mb']:.1f} MB, one sentence in {cost['latency_ms']:.1f} ms "
        f"(median of {cost['sources']})"
    )


def _rule(rule: dict[str, Any]) -> str:
    """A rule of the gate, its figure, its evidence, and what came of it."""
    told = [f"{rule['rule']}: {_number(rule['figure'])}"]
    if rule["bound"] is not None:
        sure = _percent(rule["confidence"])
        told.append(f"with {sure} confidence below {_number(rule['bound'])}")
    if rule["note"]:
        told.append(rule["note"])
    return ", ".join([*told, "passed" if rule["passed"] else "FAILED"])


def _percent(share: float) -> str:
    """A confidence, of which 99.95 % is not 100."""
    return f"{100 * share:.4g}%"


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.4f}"
