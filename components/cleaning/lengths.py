"""Filters by length: of a side, and of one side against the other."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from .filter import Fault, PairFilter
from .sides import Sides

Unit = Literal["characters", "words"]
Count = Annotated[int, Field(ge=0)]


def length_of(text: str, unit: Unit) -> int:
    """How many characters, or words between white space."""
    return len(text) if unit == "characters" else len(text.split())


def lengths_of(sides: Sides, unit: Unit) -> np.ndarray:
    """`length_of` each side: int64 [2, pairs]."""
    if unit == "characters":
        return sides.lengths
    words = (len(text.split()) for text in sides.texts)
    return np.fromiter(words, np.int64, len(sides.texts)).reshape(2, -1)


class Length(PairFilter):
    """Bounds on each side."""

    filter: Literal["length"]
    unit: Unit = "characters"
    min: Count = 1
    max: Count | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Length:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"expected max of at least min ({self.min}), received {self.max}")
        return self

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        for name, side in (("source", source), ("target", target)):
            length = length_of(side, self.unit)
            if length < self.min:
                return Fault(f"short_{name}", f"{length} {self.unit}, at least {self.min}")
            if self.max is not None and length > self.max:
                return Fault(f"long_{name}", f"{length} {self.unit}, the limit is {self.max}")
        return source, target

    def suspects(self, sides: Sides) -> np.ndarray:
        lengths = lengths_of(sides, self.unit)
        outside = lengths < self.min
        if self.max is not None:
            outside |= lengths > self.max
        return outside.any(axis=0)


class LengthRatio(PairFilter):
    """How many times as long as the other a side may be."""

    filter: Literal["length_ratio"]
    unit: Unit = "characters"
    max: Annotated[float, Field(ge=1)] = 3.0
    # Short texts differ by chance: so much is added to both lengths.
    slack: Count = 0

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        a, b = length_of(source, self.unit), length_of(target, self.unit)
        low, high = (a, b) if a < b else (b, a)
        if high + self.slack > self.max * max(low + self.slack, 1):
            return Fault("length_ratio", f"{a} to {b} {self.unit}, at most {self.max:g} times")
        return source, target

    def suspects(self, sides: Sides) -> np.ndarray:
        lengths = lengths_of(sides, self.unit) + self.slack
        return lengths.max(axis=0) > self.max * np.maximum(lengths.min(axis=0), 1)
