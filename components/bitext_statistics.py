"""What matters of text pairs, counted: lengths, agreement of the sides, scripts.

All of it adds up, so that it can be counted in any number of places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np

from .cleaning.agreement import Identical, Numbers, Placeholders
from .cleaning.filter import Fault, PairFilter
from .cleaning.scripts import script_of
from .cleaning.sides import Sides
from .cleaning.together import points_of
from .vocabulary_counts import VocabularyCounts

# Lower ends of the bins, in characters and in powers of two.
LENGTHS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700, 1000, 1500, 2300)
RATIOS = tuple(step / 4 for step in range(-12, 13))
EXAMPLES = 10
EXAMPLE_CHARACTERS = 200
TOLD_CHARACTERS = 500
SCRIPT_CHARACTERS = 12  # of the beginning of a side

UNSEEN, NO_LETTER = -2, -1
# The script of each character by its place in `_NAMES`, filled in as characters come.
_SCRIPTS = np.full(0x110000, UNSEEN, np.int16)
_NAMES: list[str] = []

CHECKS: dict[str, PairFilter] = {
    "identical": Identical(filter="identical"),
    "placeholders": Placeholders(filter="placeholders"),
    "numbers": Numbers(filter="numbers"),
}


class BitextCounts:
    """The counts over some pairs; two of them add up to those over both."""

    def __init__(self) -> None:
        self.pairs = 0
        self.lengths = {side: [0] * len(LENGTHS) for side in ("source", "target")}
        self.characters = dict.fromkeys(("source", "target"), 0)
        self.points = {side: np.zeros(1 << 8, np.int64) for side in ("source", "target")}
        self.words = {side: VocabularyCounts() for side in ("source", "target")}
        # Of each bin of the source's lengths how many pairs are in each of the target's.
        self.together = np.zeros((len(LENGTHS), len(LENGTHS)), np.int64)
        self.ratios = [0] * len(RATIOS)
        self.scripts: dict[str, Counter[str]] = {"source": Counter(), "target": Counter()}
        self.faults = dict.fromkeys(CHECKS, 0)
        self.examples: dict[str, list[tuple[str, str]]] = {name: [] for name in CHECKS}

    def add(self, source: str, target: str) -> None:
        """Counts a pair; neither side is empty."""
        self.add_all([(source, target)])

    def add_all(
        self, pairs: Sequence[tuple[str, str]], held_out: Sequence[bool] | None = None
    ) -> None:
        """Counts several pairs; `held_out` says which are not for training."""
        if not pairs:
            return
        self.pairs += len(pairs)
        sides = Sides(pairs)
        kept_back = np.zeros(len(pairs), bool) if held_out is None else np.array(held_out, bool)
        whole = len(sides.points)
        split = int(sides.ends[len(pairs) - 1])
        for place, (side, begin, end) in enumerate(
            (("source", 0, split), ("target", split, whole))
        ):
            texts = sides.texts[place * len(pairs) : (place + 1) * len(pairs)]
            self.characters[side] += end - begin
            self.lengths[side] = _sum(self.lengths[side], _binned(sides.lengths[place], LENGTHS))
            self.scripts[side].update(filter(None, main_scripts(texts)))
            counted = np.bincount(sides.points[begin:end])
            self.points[side] = _added(self.points[side], counted)
            for which in (False, True):
                some = list(compress(texts, (kept_back == which).tolist()))
                if some:
                    self.words[side].add(some, which)
        bins = [np.searchsorted(LENGTHS, sizes, side="right") - 1 for sizes in sides.lengths]
        np.add.at(self.together, tuple(bins), 1)
        ratios = np.log2(sides.lengths[1] / sides.lengths[0])
        self.ratios = _sum(self.ratios, _binned(ratios, RATIOS))
        for name, check in CHECKS.items():
            for place, found in check.changes(sides).items():
                if isinstance(found, Fault):
                    self.faults[name] += 1
                    if len(self.examples[name]) < EXAMPLES:
                        source, target = (side[:EXAMPLE_CHARACTERS] for side in pairs[place])
                        if (source, target) not in self.examples[name]:
                            self.examples[name].append((source, target))

    def merge(self, other: BitextCounts) -> None:
        """Adds the counts over other pairs."""
        self.pairs += other.pairs
        for side in ("source", "target"):
            self.characters[side] += other.characters[side]
            self.lengths[side] = _sum(self.lengths[side], other.lengths[side])
            self.scripts[side].update(other.scripts[side])
            self.points[side] = _added(self.points[side], other.points[side])
            self.words[side].merge(other.words[side])
        self.together += other.together
        self.ratios = _sum(self.ratios, other.ratios)
        for name in CHECKS:
            self.faults[name] += other.faults[name]
            self.examples[name] = sorted({*self.examples[name], *other.examples[name]})[:EXAMPLES]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        pairs = max(1, self.pairs)
        return {
            "pairs": self.pairs,
            "mean_length": {side: n / pairs for side, n in self.characters.items()},
            "lengths": self.lengths,
            "ratios": self.ratios,
            "together": self.together.tolist(),
            "characters": {side: _most(points) for side, points in self.points.items()},
            "vocabulary": {side: words.as_dict() for side, words in self.words.items()},
            "scripts": {side: dict(found.most_common(20)) for side, found in self.scripts.items()},
            "faults": self.faults,
            "examples": {name: sorted(rows) for name, rows in self.examples.items()},
        }


def main_script(text: str) -> str | None:
    """The writing system of most letters at the beginning of a text; None of no letters."""
    head = text[:SCRIPT_CHARACTERS]
    if head.isascii():
        return "LATIN" if any(map(str.isalpha, head)) else None
    found = [script_of(c) for c in head if c.isalpha()]
    if len(set(found)) < 2:
        return found[0] if found else None
    return Counter(found).most_common(1)[0][0]


def main_scripts(texts: Sequence[str]) -> list[str | None]:
    """`main_script` of each of several texts."""
    heads = [text[:SCRIPT_CHARACTERS].ljust(SCRIPT_CHARACTERS) for text in texts]
    points = points_of(heads).reshape(-1, SCRIPT_CHARACTERS)
    for point in np.unique(points[_SCRIPTS[points] == UNSEEN]).tolist():
        name = script_of(chr(point)) if chr(point).isalpha() else None
        if name is not None and name not in _NAMES:
            _NAMES.append(name)
        _SCRIPTS[point] = NO_LETTER if name is None else _NAMES.index(name)
    scripts = _SCRIPTS[points]
    most = scripts.max(axis=1)
    # Of one script only, or of several?
    mixed = ((scripts != NO_LETTER) & (scripts != most[:, None])).any(axis=1)
    return [
        main_script(text) if several else None if number == NO_LETTER else _NAMES[number]
        for text, number, several in zip(texts, most.tolist(), mixed.tolist(), strict=True)
    ]


def _binned(values: np.ndarray, lows: Sequence[float]) -> list[int]:
    """How many values lie in each bin; those below the first are in it."""
    places = np.maximum(np.searchsorted(lows, values, side="right") - 1, 0)
    return np.bincount(places, minlength=len(lows)).tolist()


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of counts by number, of which either may end earlier."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = longer.astype(np.int64)
    total[: len(shorter)] += shorter
    return total


def _most(points: np.ndarray) -> dict[str, int]:
    """The most frequent characters, by name."""
    order = np.argsort(-points, kind="stable")[:TOLD_CHARACTERS]
    return {chr(point): int(points[point]) for point in order if points[point]}


def _sum(a: list[int], b: list[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)]
