"""The column by which pairs count in training, as `data.weight` names it."""

from __future__ import annotations

import re

import numpy as np

from .readers.rows import Pair, Rejected, Row, shown

# What TensorFlow reads in the same way; Python alone would take 1_000 and other scripts' digits.
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
MOST = float(np.finfo(np.float32).max)
LONGEST = 31  # characters of a number that TensorFlow reads


def with_weight(pair: Pair, column: str) -> Row:
    """The pair, or why it is rejected: the column has no number from 0 on.

    A number of more digits than TensorFlow reads is written in fewer.

    Args:
      pair: with what travels along.
      column: the name in `data.extra`.
    """
    text = dict(pair.extra).get(column, "")
    if NUMBER.fullmatch(text) and 0 <= (number := float(text)) <= MOST:
        if len(text) <= LONGEST:
            return pair
        return pair._replace(extra=tuple({**dict(pair.extra), column: repr(number)}.items()))
    detail = f"expected a number from 0 on in '{column}', received '{text[:80]}'"
    return Rejected("bad_weight", detail, pair.file, pair.line, shown(pair.source, pair.target))
