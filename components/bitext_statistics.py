"""What matters of text pairs, counted: lengths, agreement of the sides, scripts.

All of it adds up, so that it can be counted in any number of places.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from typing import Any

from .cleaning.agreement import Identical, Numbers, Placeholders
from .cleaning.filter import Fault, PairFilter
from .cleaning.scripts import script_of

# Lower ends of the bins, in characters and in powers of two.
LENGTHS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700, 1000, 1500, 2300)
RATIOS = tuple(step / 4 for step in range(-12, 13))
EXAMPLES = 10
EXAMPLE_CHARACTERS = 200
SCRIPT_CHARACTERS = 12  # of the beginning of a side

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
        self.ratios = [0] * len(RATIOS)
        self.scripts: dict[str, Counter[str]] = {"source": Counter(), "target": Counter()}
        self.faults = dict.fromkeys(CHECKS, 0)
        self.examples: dict[str, list[tuple[str, str]]] = {name: [] for name in CHECKS}

    def add(self, source: str, target: str) -> None:
        """Counts a pair; neither side is empty."""
        self.pairs += 1
        for side, text in (("source", source), ("target", target)):
            self.characters[side] += len(text)
            self.lengths[side][bisect.bisect_right(LENGTHS, len(text)) - 1] += 1
            found = Counter(script_of(c) for c in text[:SCRIPT_CHARACTERS] if c.isalpha())
            if found:
                self.scripts[side][found.most_common(1)[0][0]] += 1
        ratio = math.log2(len(target) / len(source))
        self.ratios[max(0, bisect.bisect_right(RATIOS, ratio) - 1)] += 1
        for name, check in CHECKS.items():
            if isinstance(check.apply(source, target), Fault):
                self.faults[name] += 1
                if len(self.examples[name]) < EXAMPLES:
                    sides = source[:EXAMPLE_CHARACTERS], target[:EXAMPLE_CHARACTERS]
                    self.examples[name].append(sides)

    def merge(self, other: BitextCounts) -> None:
        """Adds the counts over other pairs."""
        self.pairs += other.pairs
        for side in ("source", "target"):
            self.characters[side] += other.characters[side]
            self.lengths[side] = _sum(self.lengths[side], other.lengths[side])
            self.scripts[side].update(other.scripts[side])
        self.ratios = _sum(self.ratios, other.ratios)
        for name in CHECKS:
            self.faults[name] += other.faults[name]
            self.examples[name] = sorted(self.examples[name] + other.examples[name])[:EXAMPLES]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        pairs = max(1, self.pairs)
        return {
            "pairs": self.pairs,
            "mean_length": {side: n / pairs for side, n in self.characters.items()},
            "lengths": self.lengths,
            "ratios": self.ratios,
            "scripts": {side: dict(found.most_common(20)) for side, found in self.scripts.items()},
            "faults": self.faults,
            "examples": {name: sorted(rows) for name, rows in self.examples.items()},
        }


def _sum(a: list[int], b: list[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)]
