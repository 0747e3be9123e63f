"""What every filter is: a section of the configuration that judges one pair at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...models.configuration import Section
from .sides import Sides


class Fault(NamedTuple):
    """Why a pair is not kept."""

    reason: str
    detail: str


class PairFilter(Section):
    """A filter of single pairs; its `filter` key names it, the others are its parameters."""

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        """The pair, mended or as it was, or what is wrong with it."""
        raise NotImplementedError

    def suspects(self, sides: Sides) -> np.ndarray:
        """The pairs that `apply` must look at, for it leaves all others as they are: bool [pairs].

        Most filters know them by questions that are asked of all pairs at once.
        """
        return np.ones(len(sides.pairs), bool)

    def changes(self, sides: Sides) -> dict[int, tuple[str, str] | Fault]:
        """What `apply` says of those pairs that it may change, by their places."""
        places = np.flatnonzero(self.suspects(sides)).tolist()
        return {place: self.apply(*sides.pairs[place]) for place in places}

    def apply_all(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str] | Fault]:
        """What `apply` says of each of several pairs."""
        found: list[tuple[str, str] | Fault] = list(pairs)
        for place, one in self.changes(Sides(pairs)).items():
            found[place] = one
        return found
