"""What a model tells of its answers and of given ones, beside text and scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..models import features


class Assessed(NamedTuple):
    """The best answer to a source, and what the model itself tells of it."""

    text: str
    score: float
    log_prob: float
    confidence: dict[str, float]  # by the names of `CONFIDENCE`; without attention the first alone


class Forced(NamedTuple):
    """What a model makes of a given target by teacher forcing."""

    log_prob: float  # in nats
    tokens: int  # EOS included
    correct: int  # of these, how many no other was more probable than


CONFIDENCE = (
    features.MEAN_LOG_PROB,
    features.COVERAGE_DEVIATION,
    features.ATTENTION_ENTROPY,
    features.SOURCE_ENTROPY,
    features.IGNORED_SOURCE,
    features.SOURCE_LENGTH,
    features.TARGET_LENGTH,
)
DIGITS = 6  # that are worth telling of a confidence


def confidences_of(outputs: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    """What `confidence` told of each of N answers: counts whole, others rounded.

    Args:
      outputs: of the signature, each [N].
    """
    columns = {name: outputs[name] for name in CONFIDENCE if name in outputs}
    rows = zip(*(_plain(values) for values in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def forced_of(outputs: Mapping[str, np.ndarray]) -> list[Forced]:
    """What `teacher_forcing` told of each of N references.

    Args:
      outputs: of the signature, each [N].
    """
    names = (features.LOG_PROB, features.TARGET_LENGTH, features.CORRECT_TOKENS)
    return [Forced(*row) for row in zip(*(outputs[name].tolist() for name in names), strict=True)]


def _plain(values: np.ndarray) -> list[float]:
    whole = values.dtype.kind == "i"
    return values.tolist() if whole else (values.astype(np.float64).round(DIGITS) + 0.0).tolist()
