"""Words of one side, counted in bounded memory: how many are common, and how many unknown.

Words are what white space separates, whatever the case of letters.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Words that are counted by name; beyond, the rarest are let go, and their counts with them.
MOST_WORDS = 100_000
# Words that wait to be counted: Arrow counts many at once, in a third of the time.
WAITING_WORDS = 1 << 20
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
        self._waiting: dict[bool, list[pa.Array]] = {False: [], True: []}
        self._number_waiting = 0

    def __getstate__(self) -> dict[str, Any]:
        self._count()
        return self.__dict__

    def add(self, texts: Sequence[str], held_out: bool = False) -> None:
        """Counts the words of texts of train, or of held-out ones."""
        found = _words(" ".join(texts).casefold())
        self.tokens += len(found)
        self._waiting[held_out].append(found)
        self._number_waiting += len(found)
        if self._number_waiting >= WAITING_WORDS:
            self._count()

    def _count(self) -> None:
        for held_out, waiting in self._waiting.items():
            if waiting:
                found = pc.value_counts(pa.chunked_array(waiting))
                words, numbers = (found.field(i).to_pylist() for i in range(2))
                counter = self._held_out if held_out else self._train
                counter.update(dict(zip(words, numbers, strict=True)))
        self._waiting, self._number_waiting = {False: [], True: []}, 0
        self._prune()

    def merge(self, other: VocabularyCounts) -> None:
        """Adds the words of other texts."""
        self._count()
        other._count()
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
        self._count()
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


def _words(text: str) -> pa.Array:
    """What stands between white space."""
    if text.isprintable() and "  " not in text and text[:1] not in ("", " ") and text[-1] != " ":
        # Of white space nothing is printable but the space.
        return pc.list_flatten(pc.split_pattern(pa.array([text]), " "))
    return pa.array(text.split(), pa.string())


def _by_number(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _numbers(counts: Counter[str]) -> tuple[np.ndarray, np.ndarray]:
    """The bins of words, and how often each was counted."""
    return _bins(counts), np.fromiter(counts.values(), np.int64, len(counts))


def _bins(words: Collection[str]) -> np.ndarray:
    """A bin for each word; a CRC alone would put words that differ in a letter together."""
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
    return ((hashes * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(44)).astype(np.int64)
