"""How long work inside a component tells whoever watches how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class TrainingProgress(NamedTuple):
    """Where a fit stands."""

    epoch: int  # from 1
    epochs: int
    step: int  # of this epoch
    steps: int
    rate: float  # target tokens a second
    loss: float
    validation_loss: float | None  # at the end of an epoch


Listener = Callable[[TrainingProgress], None]
_listeners: list[Listener] = []


def report(progress: TrainingProgress) -> None:
    """Tells all listeners."""
    for listener in _listeners:
        listener(progress)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Has a listener told for as long as the context lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
