"""The output folder of a job: what its parts are called, and who is using it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

METADATA = "metadata.sqlite"
LOCK = "run.lock"
ARTIFACTS = "artifacts"
CHECKPOINTS = "checkpoints"  # below a component's artifacts
SERVING = "serving"
EXPORTS = "exports"  # other forms of what is served
LOG = "run.log"
PATIENCE = 0.3  # seconds, for `is_busy` holds the lock a moment


class OutputBusy(Exception):
    """Another run is using the output folder."""


@contextmanager
def exclusive(output: Path) -> Iterator[None]:
    """Holds an output folder for one run; the kernel lets go when the process dies.

    Raises:
      OutputBusy: another process holds it.
    """
    lock = filelock.FileLock(output / LOCK)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=0.02)
    except filelock.Timeout as error:
        raise OutputBusy(
            f"another run is using {output}: wait for it to end, or choose another --output"
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_busy(output: Path) -> bool:
    """Whether a run is using an output folder now; looking writes nothing."""
    try:
        with (output / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, no run
        return False
    return False


def bytes_below(folder: Path) -> int:
    """What the files below a folder take; what goes away meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except OSError:
            continue
        total += status.st_blocks * 512
    return total
