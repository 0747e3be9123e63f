"""Lines in, as many lines out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import islice
from typing import IO, Protocol

from ..serving.local_model import Hypothesis

BATCH = 64


class Model(Protocol):
    """Whoever answers: a model in this process, or the client of a server."""

    def predict(self, sources: list[str], nbest: int = 1) -> list[list[Hypothesis]]:
        """Answers each source with its best hypotheses, best first."""


def predict_lines(
    model: Model, lines: IO[bytes], answers: IO[str], nbest: int, scores: bool
) -> int:
    """Answers every line, in order.

    Args:
      model: whoever answers.
      lines: UTF-8 text; a person at a terminal is answered line by line.
      answers: where the answers go.
      nbest: hypotheses a line.
      scores: whether each is followed by its score.

    Returns:
      How many lines were not UTF-8; each is reported and answered with an empty
      line.
    """
    bad = number = 0
    for batch in _batches(lines, 1 if lines.isatty() else BATCH):
        sources = []
        for line in batch:
            number += 1
            try:
                sources.append(line.rstrip(b"\r\n").decode("utf-8"))
            except UnicodeDecodeError as error:
                print(f"line {number}: not UTF-8 at byte {error.start + 1}", file=sys.stderr)
                bad += 1
                sources.append("")
        for hypotheses in model.predict(sources, nbest):
            print("\t".join(_cells(hypotheses, scores)), file=answers)
        answers.flush()
    return bad


def _batches(lines: IO[bytes], size: int) -> Iterator[list[bytes]]:
    while batch := list(islice(lines, size)):
        yield batch


def _cells(hypotheses: list[Hypothesis], scores: bool) -> Iterator[str]:
    for hypothesis in hypotheses:
        # Tabs and line ends would tear the table.
        yield re.sub(r"[\t\r\n]", " ", hypothesis.text)
        if scores:
            yield f"{hypothesis.score:.4f}"
