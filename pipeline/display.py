"""What a person sees of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import re
import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..components.progress import TrainingProgress


class Display(Protocol):
    """Takes what happens and shows it."""

    def started(self, component: str) -> None:
        """A component begins."""

    def finished(self, component: str, seconds: float, cached: bool) -> None:
        """A component is through."""

    def training(self, progress: TrainingProgress) -> None:
        """A fit is so far."""

    def note(self, text: str) -> None:
        """Something happened that a person should know."""

    def close(self) -> None:
        """Nothing more will come."""


class PlainDisplay:
    """One line for each component and each epoch."""

    def __init__(self, console: Console):
        self._console = console

    def started(self, component: str) -> None:
        """Says nothing: a line at the end is enough."""

    def finished(self, component: str, seconds: float, cached: bool) -> None:
        self._console.print(_finished_line(component, seconds, cached), highlight=False)

    def training(self, progress: TrainingProgress) -> None:
        if progress.validation_loss is not None:
            self._console.print(_epoch_line(progress), highlight=False)

    def note(self, text: str) -> None:
        self._console.print(f"  {text}", highlight=False, markup=False)

    def close(self) -> None:
        """Leaves the lines as they are."""


class LiveDisplay:
    """Lines for what is done, a bar for the components and one for the fit.

    Args:
      console: of a terminal.
      components: how many there are.
    """

    def __init__(self, console: Console, components: int):
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._all = self._progress.add_task("components", total=components, detail="")
        self._fit: TaskID | None = None
        self._progress.start()

    def started(self, component: str) -> None:
        self._progress.update(self._all, detail=f"{component} is running")

    def finished(self, component: str, seconds: float, cached: bool) -> None:
        if self._fit is not None:
            self._progress.remove_task(self._fit)
            self._fit = None
        self._progress.advance(self._all)
        self._console.print(_finished_line(component, seconds, cached), highlight=False)

    def training(self, progress: TrainingProgress) -> None:
        if self._fit is None:
            self._fit = self._progress.add_task(
                "training", total=progress.epochs * progress.steps, detail=""
            )
        self._progress.update(
            self._fit,
            description=f"epoch {progress.epoch}/{progress.epochs}",
            completed=(progress.epoch - 1) * progress.steps + progress.step,
            detail=f"loss {progress.loss:.3f}, {progress.rate:,.0f} target tokens/s",
        )
        if progress.validation_loss is not None:
            self._console.print(_epoch_line(progress), highlight=False)

    def note(self, text: str) -> None:
        self._console.print(f"  {text}", highlight=False, markup=False)

    def close(self) -> None:
        self._progress.stop()


def _finished_line(component: str, seconds: float, cached: bool) -> str:
    return f"{component:<18} {'cached' if cached else f'{seconds:6.1f} s'}"


def _epoch_line(progress: TrainingProgress) -> str:
    return (
        f"  epoch {progress.epoch}/{progress.epochs}: loss {progress.loss:.4f}, "
        f"validation loss {progress.validation_loss:.4f}, {progress.rate:,.0f} target tokens/s"
    )


class ComponentWatcher(logging.Handler):
    """Follows a run through what TFX's runners log of it.

    Neither runner tells in any other way when a component starts and ends; a
    test holds this to both of them.
    """

    _RUNS = re.compile(r"^(?:Component|node) (\S+) is (running|finished)\.$")
    _CACHED = re.compile(r"^A cached execution \d+ is used\.$")

    def __init__(self, display: Display):
        super().__init__(logging.INFO)
        self._display = display
        self._began = 0.0
        self._cached = False
        self.current: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if self._CACHED.match(message):
            self._cached = True
        elif found := self._RUNS.match(message):
            component, event = found.groups()
            if event == "running":
                self.current, self._began, self._cached = component, time.monotonic(), False
                self._display.started(component)
            else:
                self.current = None
                took = time.monotonic() - self._began
                self._display.finished(component, took, self._cached)
