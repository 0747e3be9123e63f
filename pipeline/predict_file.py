"""Answers a file of any size: in order, in constant memory, and gone on with after a stop.

Each line of the input is one line of the output: see `answered_lines`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..components.readers.compression import DAMAGE, unpacked
from ..serving.answered_lines import WINDOW, answer_lines, is_rejected, read_lines, to_line
from ..serving.local_model import LocalModel


class CannotPredict(Exception):
    """The input cannot be read, or the output cannot be gone on with."""


class Done(NamedTuple):
    """What came of a file, the lines of earlier runs included."""

    answered: int
    rejected: int
    resumed_at: int  # lines that were there when this run began


def predict_file(
    model: LocalModel,
    name: str,
    source: Path,
    target: Path,
    nbest: int = 1,
    progress: Callable[[int], None] = lambda lines: None,
) -> Done:
    """Answers every line of a file.

    Until all is done, the answers are in `TARGET.partial`, and what they belong to in
    `TARGET.partial.json`. The same command goes on from there.

    Args:
      model: a loaded model.
      name: of the model; with another, nothing is gone on with.
      source: UTF-8 text, packed if its name ends in .gz, .bz2, .xz or .zst.
      target: where the answers go; what is there is replaced at the end.
      nbest: hypotheses a line.
      progress: is told how many lines are done.

    Raises:
      CannotPredict: the input cannot be read, or the partial output belongs to
        something else.
    """
    check_files(source, target)
    partial = target.with_name(f"{target.name}.partial")
    record = partial.with_name(f"{partial.name}.json")
    try:
        job = {"input": digest_of(source), "model": name, "nbest": nbest}
        answered, rejected = _begin(partial, record, job)
        done = resumed_at = answered + rejected
        with _opened(source) as lines, partial.open("ab") as answers:
            waiting = islice(read_lines(lines), resumed_at, None)
            while window := list(islice(waiting, WINDOW)):
                rows = answer_lines(model, window, done, nbest)
                answers.write(b"".join(map(to_line, rows)))
                answers.flush()
                rejected += sum("rejected" in row for row in rows)
                done += len(rows)
                progress(done)
            os.fsync(answers.fileno())
        os.replace(partial, target)
        record.unlink()
    except DAMAGE as error:
        raise CannotPredict(f"{source} to {target}: {error}") from error
    return Done(done - rejected, rejected, resumed_at)


def _begin(partial: Path, record: Path, job: dict[str, Any]) -> tuple[int, int]:
    """Makes ready to write; gives how many lines were answered and rejected before."""
    if not (partial.exists() and record.exists()):
        partial.write_bytes(b"")
        record.write_text(json.dumps(job))
        return 0, 0
    check_job(partial, json.loads(record.read_text()), job)
    answered = rejected = whole = 0
    with partial.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break  # torn by the stop
            whole += len(line)
            if is_rejected(line):
                rejected += 1
            else:
                answered += 1
    os.truncate(partial, whole)
    return answered, rejected


def check_files(source: Path, target: Path) -> None:
    """Makes sure that an input can be read twice, for its digest and its lines, and stays.

    Args:
      source: the input.
      target: where the answers go.

    Raises:
      CannotPredict: the input is no regular file, such as a pipe, or is the target.
    """
    if not source.is_file():
        raise CannotPredict(
            f"expected --input to be a regular file, received {source}: write its lines to one, "
            "or pipe them into `seq2seq predict` without --input"
        )
    if target.exists() and target.samefile(source):
        raise CannotPredict(
            f"expected another file for --output, received --input itself, {source}, which the "
            "answers would replace"
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


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw, unpacked(raw, path.name) as lines:
        yield lines


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
