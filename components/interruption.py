"""How a process that is asked to stop lets long work put its state away first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """The process was asked to stop; no error, so nothing may swallow it as one."""


_asked: int | None = None  # the signal's number
_savers = 0  # pieces of work under way that look at `asked`


def asked() -> int | None:
    """The signal that asked this process to stop, or None."""
    return _asked


@contextmanager
def saving() -> Iterator[None]:
    """Work that looks at `asked` often, saves its state and raises `Interrupted` itself.

    Raises:
      Interrupted: the process was asked after the work had looked for the last time.
    """
    global _savers
    _savers += 1
    try:
        yield
    finally:
        _savers -= 1
    if _asked is not None and not _savers:
        raise Interrupted(signal.Signals(_asked).name)


@contextmanager
def stoppable() -> Iterator[None]:
    """Has SIGTERM and SIGINT ask, for as long as the context lasts.

    Raises `Interrupted` at once where no work would save anything, and on a second
    signal. Outside the main thread, where Python handles no signal, it does nothing.
    """
    global _asked

    def handle(number: int, frame: FrameType | None) -> None:
        global _asked
        again, _asked = _asked is not None, number
        if again or not _savers:
            raise Interrupted(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked = None
