"""Words of one side, counted in bounded memory: how many are common, and how many unknown.

Words are what white space separates, whatever the case of letters.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

# Words that are counted by name; beyond, the rarest are let go, and their counts with them.
MOST_WORDS = 100_000
TOLD_WORDS = 2000
BINS = 1 << 20  # 64 - 44 bits: that words fall into by a hash, to tell whether train has them
COVERED_BY = (100, 1000, 10_000)
EXAMPLES = 10


class VocabularyCounts:
    """The words of some texts; two of them add up to those of both."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()
        self.held_out: Counter[str] = Counter()
        self.tokens = 0
        self._known = np.zeros(BINS, bool)
        self._asked = np.zeros(BINS, np.int64)

    def add(self, texts: Sequence[str], held_out: bool = False) -> None:
        """Counts the words of texts of train, or of held-out ones."""
        found = Counter(" ".join(texts).casefold().split())
        bins = _bins(found)
        numbers = np.fromiter(found.values(), np.int64, len(found))
        self.tokens += int(numbers.sum())
        self.words.update(found)
        if held_out:
            np.add.at(self._asked, bins, numbers)
            self.held_out.update(found)
        else:
            self._known[bins] = True
        self._prune()

    def merge(self, other: VocabularyCounts) -> None:
        """Adds the words of other texts."""
        self.words.update(other.words)
        self.held_out.update(other.held_out)
        self.tokens += other.tokens
        self._known |= other._known
        self._asked += other._asked
        self._prune()

    def _prune(self) -> None:
        for name in ("words", "held_out"):
            counts: Counter[str] = getattr(self, name)
            if len(counts) > 2 * MOST_WORDS:
                setattr(self, name, Counter(dict(counts.most_common(MOST_WORDS))))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is unknown is estimated, for words may share a bin."""
        common = sorted(self.words.items(), key=lambda item: (-item[1], item[0]))
        covered = np.cumsum([number for _, number in common])
        asked = int(self._asked.sum())
        missed = int(self._asked[~self._known].sum()) / max(1e-9, 1 - self._known.mean())
        known = self._known[_bins(self.held_out)]
        unknown = [
            word for word, is_known in zip(self.held_out, known, strict=True) if not is_known
        ]
        unknown.sort(key=lambda word: (-self.held_out[word], word))
        return {
            "tokens": self.tokens,
            "coverage": {
                str(most): round(float(covered[min(most, len(covered)) - 1]) / self.tokens, 4)
                for most in COVERED_BY
                if self.tokens
            },
            "held_out_tokens": asked,
            "unknown": round(min(1.0, missed / asked), 6) if asked else 0.0,
            "unknown_words": unknown[:EXAMPLES],
            "words": dict(common[:TOLD_WORDS]),
        }


def _bins(words: Collection[str]) -> np.ndarray:
    """A bin for each word; a CRC alone would put words that differ in a letter together."""
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
    return ((hashes * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(44)).astype(np.int64)
