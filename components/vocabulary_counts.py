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
        self.tokens = 0
        self._train: Counter[str] = Counter()
        self._held_out: Counter[str] = Counter()
        # Of words that were let go: which bins train has, and what the others asked of each.
        self._known = np.zeros(BINS, bool)
        self._asked = np.zeros(BINS, np.int64)

    def add(self, texts: Sequence[str], held_out: bool = False) -> None:
        """Counts the words of texts of train, or of held-out ones."""
        found = " ".join(texts).casefold().split()
        self.tokens += len(found)
        (self._held_out if held_out else self._train).update(found)
        self._prune()

    def merge(self, other: VocabularyCounts) -> None:
        """Adds the words of other texts."""
        self.tokens += other.tokens
        self._train.update(other._train)
        self._held_out.update(other._held_out)
        self._known |= other._known
        self._asked += other._asked
        self._prune()

    def _prune(self) -> None:
        if len(self._train) > 2 * MOST_WORDS:
            self._known[_bins(self._train)] = True
            self._train = Counter(dict(self._train.most_common(MOST_WORDS)))
        if len(self._held_out) > 2 * MOST_WORDS:
            kept = Counter(dict(self._held_out.most_common(MOST_WORDS)))
            np.add.at(self._asked, *_numbers(self._held_out - kept))
            self._held_out = kept

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is unknown is estimated, for words may share a bin."""
        common = sorted((self._train + self._held_out).items(), key=_by_number)
        covered = np.cumsum([number for _, number in common])
        known, asked = self._known.copy(), self._asked.copy()
        known[_bins(self._train)] = True
        np.add.at(asked, *_numbers(self._held_out))
        missed = int(asked[~known].sum()) / max(1e-9, 1 - known.mean())
        bins, _ = _numbers(self._held_out)
        unknown = [
            item for item, has in zip(self._held_out.items(), known[bins], strict=True) if not has
        ]
        total = int(asked.sum())
        return {
            "tokens": self.tokens,
            "coverage": {
                str(most): round(float(covered[min(most, len(covered)) - 1]) / self.tokens, 4)
                for most in COVERED_BY
                if self.tokens
            },
            "held_out_tokens": total,
            "unknown": round(min(1.0, missed / total), 6) if total else 0.0,
            "unknown_words": [word for word, _ in sorted(unknown, key=_by_number)[:EXAMPLES]],
            "words": dict(common[:TOLD_WORDS]),
        }


def _by_number(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _numbers(counts: Counter[str]) -> tuple[np.ndarray, np.ndarray]:
    """The bins of words, and how often each was counted."""
    return _bins(counts), np.fromiter(counts.values(), np.int64, len(counts))


def _bins(words: Collection[str]) -> np.ndarray:
    """A bin for each word; a CRC alone would put words that differ in a letter together."""
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
    return ((hashes * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(44)).astype(np.int64)
