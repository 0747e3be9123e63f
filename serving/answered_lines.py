"""Lines of a file and their answers, in the same order.

Each answer is a line of JSON:

    {"id": 1, "hypotheses": [{"text": "HH AH L OW", "score": -0.11, "log_prob": -0.58}],
     "confidence": {"mean_log_prob": -0.12, "coverage_deviation": 0.05, ...}}
    {"id": 2, "rejected": "invalid_utf8", "detail": "at byte 4"}

`confidence` is there where one hypothesis alone is asked for and the export tells of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from ..models import features
from .equal_batches import batches
from .local_model import Hypothesis, LocalModel

WINDOW = 8_192  # lines that are held and sorted by length at a time
LONGEST = 1 << 20  # bytes of a line; a longer one is rejected without being held


def read_lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """The lines of a file without their ends; None for one that is too long to hold."""
    while line := stream.readline(LONGEST + 2):  # its end may be two bytes
        text = line.rstrip(b"\r\n")
        is_long = len(text) > LONGEST
        while not line.endswith(b"\n") and (line := stream.readline(LONGEST)):
            is_long = True
        yield None if is_long else text


def answer_lines(
    model: LocalModel, lines: Sequence[bytes | None], before: int, nbest: int
) -> list[dict[str, Any]]:
    """The rows of some lines, in their order.

    Args:
      model: that is asked.
      lines: of `read_lines`.
      before: how many lines come before them.
      nbest: hypotheses a line.
    """
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


def to_line(row: dict[str, Any]) -> bytes:
    """A row as JSON, with its end of line."""
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def is_rejected(line: bytes) -> bool:
    """Whether a line of `to_line` says why there is no answer.

    Raises:
      ValueError: it is none of these.
    """
    row = json.loads(line)
    if not isinstance(row, dict) or not row.keys() & {"hypotheses", "rejected"}:
        raise ValueError(f"expected a row of answers, found {line[:80]!r}")
    return "rejected" in row


def count(lines: Iterable[bytes]) -> tuple[int, int]:
    """How many lines of `to_line` are answered, and how many rejected.

    Raises:
      ValueError: one is no such line.
    """
    answered = rejected = 0
    for line in lines:
        if is_rejected(line):
            rejected += 1
        else:
            answered += 1
    return answered, rejected
