"""Answers a file of any size: in order, in constant memory, and gone on with after a stop.

Each line of the input is one line of the output: see `answered_lines`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..components.readers.compression import DAMAGE, unpacked
from ..serving.answered_lines import WINDOW, answer_lines, is_rejected, read_lines, to_line
from ..serving.local_model import LocalModel
from .begun_answers import (
    PARTIAL,
    RECORD,
    CannotPredict,
    alone,
    beside,
    check_job,
    checked_target,
    damaged,
    digest_of,
    read_job,
    write_job,
)


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
      target: where the answers go; what is there is replaced at the end. Of a link, where
        it leads.
      nbest: hypotheses a line.
      progress: is told how many lines are done.

    Raises:
      CannotPredict: the input cannot be read, the output cannot be written, or the
        partial output is damaged, or belongs to something else or to nothing known.
    """
    target = checked_target(source, target)
    partial, record = beside(target, PARTIAL), beside(target, RECORD)
    try:
        with alone(target):
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
        if partial.exists() and partial.stat().st_size:
            raise CannotPredict(
                f"{partial} has lines already and {record}, which says what they belong to, is "
                "not there: move it away, or name another --output"
            )
        write_job(record, job)
        return 0, 0
    check_job(partial, read_job(record, partial), job)
    answered = rejected = whole = 0
    with partial.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break  # torn by the stop
            whole += len(line)
            try:
                has_reason = is_rejected(line)
            except ValueError as error:
                raise damaged(partial, error) from error
            if has_reason:
                rejected += 1
            else:
                answered += 1
    os.truncate(partial, whole)
    return answered, rejected


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw, unpacked(raw, path.name) as lines:
        yield lines
