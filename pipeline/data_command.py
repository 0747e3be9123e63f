"""Shows how data sets are obtained."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .datasets import DATASETS


def obtain(name: str, output: Path | None) -> None:
    """Obtains a data set, with a bar on a terminal and plain lines elsewhere.

    Args:
      name: one of `DATASETS`.
      output: its folder; the data set's own default if None.

    Raises:
      DataUnavailable: it cannot be had.
    """
    dataset = DATASETS[name]
    console = Console(soft_wrap=True, markup=False)
    console.print(f"{dataset.description} Licence: {dataset.licence}", highlight=False)
    with Progress(
        TextColumn(name),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(name, total=None)
        dataset.obtain(
            output or dataset.default_output,
            lambda line: console.print(line, highlight=False),
            lambda done, total: progress.update(task, completed=done, total=total or None),
        )
