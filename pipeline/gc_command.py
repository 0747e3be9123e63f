"""`seq2seq gc`: says what goes and how much, and removes it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from .cleanup import Plan, clean, plan
from .run_folder import exclusive
from .run_records import open_store


def collect(output: Path, keep: int, dry_run: bool) -> None:
    """Removes what only older runs need.

    Args:
      output: the folder of a job.
      keep: so many runs stay.
      dry_run: only say what would go.

    Raises:
      OutputBusy: a run is using it.
      NoRuns: it holds no record.
      CannotClean: it was moved.
      PromotionError: the labels of versions cannot be read.
      OSError: something cannot be removed; what was done is done.
    """
    open_store(output)  # before the lock, which would make a folder of whatever name
    with exclusive(output):
        planned = plan(output, keep)
        print_plan(planned, dry_run)
        if not dry_run:
            clean(output, planned)


def print_plan(planned: Plan, dry_run: bool) -> None:
    """Prints what goes, by kind, and what stays."""
    title = "would be removed" if dry_run else "is removed"
    table = Table("what", title=title, title_justify="left")
    table.add_column("folders", justify="right")
    table.add_column("MB", justify="right")
    for kind in sorted({item.kind for item in planned.items}):
        sizes = [item.bytes for item in planned.items if item.kind == kind]
        table.add_row(kind, f"{len(sizes):,}", f"{sum(sizes) / 1e6:,.1f}")
    total = sum(item.bytes for item in planned.items)
    table.add_row("all", f"{len(planned.items):,}", f"{total / 1e6:,.1f}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    versions = ", ".join(folder.name for folder in planned.kept_versions) or "none"
    console.print(
        f"kept: the last {planned.kept_runs} runs, the last blessed model, versions {versions}, "
        "and all metadata"
    )
