"""What every filter is: a section of the configuration that judges one pair at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...models.configuration import Section


class Fault(NamedTuple):
    """Why a pair is not kept."""

    reason: str
    detail: str


class PairFilter(Section):
    """A filter of single pairs; its `filter` key names it, the others are its parameters."""

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        """The pair, mended or as it was, or what is wrong with it."""
        raise NotImplementedError

    def apply_all(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str] | Fault]:
        """What `apply` says of each of several pairs; a filter may have a faster way."""
        return [self.apply(source, target) for source, target in pairs]

    def _looked_at(
        self, pairs: Sequence[tuple[str, str]], places: Iterable[int]
    ) -> list[tuple[str, str] | Fault]:
        """Pairs as they are, but for those at some places, which `apply` looks at."""
        found: list[tuple[str, str] | Fault] = list(pairs)
        for place in places:
            found[place] = self.apply(*pairs[place])
        return found
