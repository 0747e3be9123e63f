"""Answers a file of any size: in order, in constant memory, and gone on with after a stop.

Each line of the input is one line of the output, JSON, in the same order:

    {"id": 1, "hypotheses": [{"text": "HH AH L OW", "score": -0.11, "log_prob": -0.58}],
     "confidence": {"mean_log_prob": -0.12, "coverage_deviation": 0.05, ...}}
    {"id": 2, "rejected": "invalid_utf8", "detail": "at byte 4"}
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from ..models import features
from ..serving.equal_batches import batches
from ..serving.local_model import Hypothesis, LocalModel

WINDOW = 8_192  # lines that are held and sorted by length at a time
LONGEST = 1 << 20  # bytes of a line; a longer one is rejected without being held


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
      source: UTF-8 text, gzipped if its name ends in .gz.
      target: where the answers go; what is there is replaced at the end.
      nbest: hypotheses a line.
      progress: is told how many lines are done.

    Raises:
      CannotPredict: the input cannot be read, or the partial output belongs to
        something else.
    """
    partial = target.with_name(f"{target.name}.partial")
    record = partial.with_name(f"{partial.name}.json")
    try:
        job = {"input": _digest(source), "model": name, "nbest": nbest}
        answered, rejected = _begin(partial, record, job)
        done = resumed_at = answered + rejected
        with _open(source) as lines, partial.open("ab") as answers:
            waiting = islice(read_lines(lines), resumed_at, None)
            while window := list(islice(waiting, WINDOW)):
                rows = _answer(model, window, done, nbest)
                answers.write(b"".join(_line(row) for row in rows))
                answers.flush()
                rejected += sum("rejected" in row for row in rows)
                done += len(rows)
                progress(done)
            os.fsync(answers.fileno())
        os.replace(partial, target)
        record.unlink()
    except (OSError, EOFError) as error:
        raise CannotPredict(f"{source} to {target}: {error}") from error
    return Done(done - rejected, rejected, resumed_at)


def read_lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """The lines of a file without their ends; None for one that is too long to hold."""
    while line := stream.readline(LONGEST):
        if len(line) == LONGEST and not line.endswith(b"\n"):
            while (rest := stream.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line.rstrip(b"\r\n")


def _answer(
    model: LocalModel, lines: list[bytes | None], before: int, nbest: int
) -> list[dict[str, Any]]:
    """The rows of a window of lines, in their order."""
    rows: list[dict[str, Any]] = []
    texts: list[tuple[int, str]] = []
    for place, line in enumerate(lines):
        row: dict[str, Any] = {"id": before + place + 1}
        rows.append(row)
        if line is None:
            row |= {"rejected": "long_line", "detail": f"more than {LONGEST} bytes"}
            continue
        try:
            texts.append((place, line.decode("utf-8")))
        except UnicodeDecodeError as error:
            row |= {"rejected": "invalid_utf8", "detail": f"at byte {error.start + 1}"}
    for batch in batches([len(text) for _, text in texts]):
        for i, answer in zip(batch, _ask(model, [texts[i][1] for i in batch], nbest), strict=True):
            rows[texts[i][0]] |= answer
    return rows


def _ask(model: LocalModel, sources: list[str], nbest: int) -> list[dict[str, Any]]:
    """The answers to a batch; what the model tells of the best where no others are asked for."""
    if nbest == 1 and model.has(features.CONFIDENCE_SIGNATURE):
        return [
            {
                "hypotheses": [Hypothesis(one.text, one.score, one.log_prob)._asdict()],
                "confidence": one.confidence,
            }
            for one in model.assess(sources)
        ]
    answers = model.predict(sources, nbest)
    return [{"hypotheses": [one._asdict() for one in hypotheses]} for hypotheses in answers]


def _begin(partial: Path, record: Path, job: dict[str, Any]) -> tuple[int, int]:
    """Makes ready to write; gives how many lines were answered and rejected before."""
    if not (partial.exists() and record.exists()):
        partial.write_bytes(b"")
        record.write_text(json.dumps(job))
        return 0, 0
    found = json.loads(record.read_text())
    for key, value in job.items():
        if found.get(key) != value:
            raise CannotPredict(
                f"{partial} was begun with another {key} ({found.get(key)}, now {value}): "
                "remove it to begin anew, or name another --output"
            )
    answered = rejected = whole = 0
    with partial.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break  # torn by the stop
            whole += len(line)
            if b'"rejected": ' in line and "rejected" in json.loads(line):
                rejected += 1
            else:
                answered += 1
    os.truncate(partial, whole)
    return answered, rejected


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
