"""What is begun beside a file of answers until it is whole: whose it is, and of what."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import filelock

# What lies beside a file of answers until it is whole; its own name comes before.
PARTIAL, RECORD, PIECES, LOCK = ".partial", ".partial.json", ".pieces", ".partial.lock"


class CannotPredict(Exception):
    """The input cannot be read, or the output cannot be gone on with."""


def beside(target: Path, ending: str) -> Path:
    """What lies beside a file of answers under its name and such an ending."""
    return target.with_name(f"{target.name}{ending}")


def checked_target(source: Path, target: Path) -> Path:
    """Where the answers are written: a file, itself and not a link to it.

    The input must be there twice, for its digest and its lines, and stay.

    Args:
      source: the input.
      target: where the answers go.

    Raises:
      CannotPredict: one of them is no regular file, such as a pipe, or the input is in
        the way of the answers.
    """
    if not source.is_file():
        raise CannotPredict(
            f"expected --input to be a regular file, received {source}: write its lines to one, "
            "or pipe them into `seq2seq predict` without --input"
        )
    if target.exists() and not target.is_file():
        raise CannotPredict(
            f"expected --output to be a regular file or the name of a new one, received {target}"
        )
    target = Path(os.path.realpath(target))
    for path in (target, *(beside(target, ending) for ending in (PARTIAL, RECORD, PIECES, LOCK))):
        if path.exists() and (path.samefile(source) or path.resolve() in source.resolve().parents):
            raise CannotPredict(
                f"expected another file for --output, received {target}: its answers would "
                f"replace {path}, and with it --input, {source}"
            )
    return target


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Holds a file of answers for one run; the kernel lets go when the process dies.

    Args:
      target: of `checked_target`.

    Raises:
      CannotPredict: another run holds it.
    """
    path = beside(target, LOCK)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise CannotPredict(
            f"another run is writing {target}: wait for it to end, or name another --output"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held, so that nobody holds what is gone
        lock.release()


def write_job(record: Path, job: dict[str, Any]) -> None:
    """Writes down what is begun, in one step."""
    descriptor, name = mkstemp(prefix=f".{record.name}.", dir=record.parent)
    try:
        with open(descriptor, "w") as file:
            json.dump(job, file)
        os.replace(name, record)
    except BaseException:
        os.unlink(name)
        raise


def read_job(record: Path, begun: Path) -> dict[str, Any]:
    """What was begun.

    Args:
      record: that says so.
      begun: what to remove where it is damaged.

    Raises:
      CannotPredict: the record is damaged.
    """
    try:
        found = json.loads(record.read_bytes())
        if not isinstance(found, dict):
            raise ValueError(f"expected an object, found {found!r}")
    except ValueError as error:
        raise damaged(record, error, begun) from error
    return found


def damaged(file: Path, error: ValueError, begun: Path | None = None) -> CannotPredict:
    """What was begun cannot be gone on with before a file, or more, is removed."""
    return CannotPredict(
        f"{file} is damaged ({error}): remove {begun or file} to begin anew, or name another "
        "--output"
    )


def check_job(begun: Path, found: dict[str, Any], job: dict[str, Any]) -> None:
    """Makes sure that what was begun is what is asked for now.

    Args:
      begun: where the answers so far are.
      found: what they belong to.
      job: what is asked for.

    Raises:
      CannotPredict: it is not.
    """
    for key, value in job.items():
        if found.get(key) != value:
            raise CannotPredict(
                f"{begun} was begun with another {key} ({found.get(key)}, now {value}): "
                "remove it to begin anew, or name another --output"
            )


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
