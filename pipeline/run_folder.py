"""The output folder of a job, for commands that do without the stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

METADATA = "metadata.sqlite"
LOCK = "run.lock"
ARTIFACTS = "artifacts"
SERVING = "serving"
LOG = "run.log"


class FolderBusy(Exception):
    """A run is using the folder."""


@contextmanager
def held(output: Path) -> Iterator[None]:
    """Keeps runs from an output folder; the kernel lets go when the process dies.

    Raises:
      FolderBusy: a run is using it.
    """
    lock = filelock.FileLock(output / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise FolderBusy(f"a run is using {output}: wait for it to end") from error
    try:
        yield
    finally:
        lock.release()


def is_busy(output: Path) -> bool:
    """Whether a run is using an output folder now."""
    try:
        with held(output):
            return False
    except FolderBusy:
        return True


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
