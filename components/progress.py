"""How long work inside a component tells whoever watches how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol


class TrainingProgress(NamedTuple):
    """Where a fit stands."""

    epoch: int  # from 1
    epochs: int
    step: int  # of this epoch
    steps: int
    rate: float  # target tokens a second
    loss: float
    validation_loss: float | None  # at the end of an epoch


class Listener(Protocol):
    """Whoever watches."""

    def training(self, progress: TrainingProgress) -> None:
        """A fit is so far."""

    def note(self, text: str) -> None:
        """Something happened that a person should know."""


_listeners: list[Listener] = []


def report(progress: TrainingProgress) -> None:
    """Tells all listeners how far a fit is."""
    for listener in _listeners:
        listener.training(progress)


def note(text: str) -> None:
    """Tells all listeners what happened."""
    for listener in _listeners:
        listener.note(text)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Has a listener told for as long as the context lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
