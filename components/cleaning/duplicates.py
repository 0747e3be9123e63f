"""Filters that compare pairs with all others: duplicates, exact and near.

Text never crosses a shuffle, only packed arrays of 64-bit keys, places and, for
near duplicates, signatures of 30 bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...models.configuration import Section

By = Literal["pair", "source", "target"]

GRAM = 4  # characters
BANDS, ROWS = 6, 5
HASHES = BANDS * ROWS

PLACE = [("file", "<u4"), ("row", "<u4"), ("line", "<u4")]
EXACT = np.dtype([("key", "<u8"), *PLACE])
NEAR = np.dtype([("key", "<u8"), *PLACE, ("signature", "u1", (HASHES,))])

_BASE = np.uint64(0x9E3779B97F4A7C15)
_random = np.random.default_rng(2002)
_FACTORS = _random.integers(1, 1 << 63, HASHES, dtype=np.uint64)[:, None] | np.uint64(1)
_SUMMANDS = _random.integers(0, 1 << 63, HASHES, dtype=np.uint64)[:, None]
_MIXERS = _random.integers(1, 1 << 63, (BANDS, ROWS), dtype=np.uint64) | np.uint64(1)


class Duplicates(Section):
    """Of pairs (or sources, or targets) that are the same, the first is kept."""

    filter: Literal["duplicates"]
    by: By = "pair"
    ignore_case: bool = False

    reason: ClassVar[str] = "duplicate"
    packing: ClassVar[np.dtype] = EXACT

    def entries(self, source: str, target: str) -> Iterator[tuple[Any, ...]]:
        """The key of a pair, as the only one."""
        text = compared(source, target, self.by)
        text = text.casefold() if self.ignore_case else text
        yield (hash64(text),)

    def matches(self, rows: np.ndarray) -> Iterator[tuple[np.void, np.void]]:
        """Of rows of one key, in order: each but the first, and the first."""
        for row in rows[1:]:
            yield row, rows[0]


class NearDuplicates(Section):
    """Of pairs that share most of their character 4-grams, and all digits, the first is kept.

    MinHash (Broder, 1997), banded so that only pairs with some band in common are
    compared; the similarity is estimated, with a standard error of 0.07 at 0.8.
    """

    filter: Literal["near_duplicates"]
    by: By = "pair"
    similarity: Annotated[float, Field(ge=0.5, le=1)] = 0.8  # Jaccard's, of the sets of 4-grams

    reason: ClassVar[str] = "near_duplicate"
    packing: ClassVar[np.dtype] = NEAR

    def entries(self, source: str, target: str) -> Iterator[tuple[Any, ...]]:
        """A key for each band, each with the signature."""
        text = compared(source, target, self.by)
        signature = minhash(text)
        # Texts that differ in a number say different things, however much alike.
        digits = hash64(re.sub(r"\D+", " ", text))
        bands = (signature.reshape(BANDS, ROWS) * _MIXERS).sum(axis=1, dtype=np.uint64)
        low = signature.astype(np.uint8)
        for band, key in enumerate(bands):
            # Bands must not be taken for one another.
            yield int(key) ^ digits ^ (band * int(_BASE) & (1 << 64) - 1), low

    def matches(self, rows: np.ndarray) -> Iterator[tuple[np.void, np.void]]:
        """Of rows that share a band, in order: each that is near an earlier one, and that one."""
        kept = np.empty((len(rows), HASHES), np.uint8)
        places: list[int] = []
        for place, row in enumerate(rows):
            shared = (kept[: len(places)] == row["signature"]).mean(axis=1)
            if len(shared) and shared.max() >= self.similarity:
                yield row, rows[places[int(shared.argmax())]]
            else:
                kept[len(places)] = row["signature"]
                places.append(place)


def compared(source: str, target: str, by: By) -> str:
    """The text that is compared."""
    return {"pair": f"{source}\t{target}", "source": source, "target": target}[by]


def hash64(text: str) -> int:
    """A 64-bit hash, the same on every machine and for ever."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def minhash(text: str) -> np.ndarray:
    """The least of 30 hashes over the 4-grams of a text, letter case and spacing aside: uint64."""
    text = " ".join(text.casefold().split()).ljust(GRAM)
    points = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint64)
    grams = points[: 1 - GRAM]
    for place in range(1, GRAM):
        grams = grams * _BASE + points[place : len(points) - GRAM + 1 + place]
    return ((grams * _FACTORS + _SUMMANDS) >> np.uint64(32)).min(axis=1)


def groups(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Rows that share a key with another, each group in the order of places."""
    rows = rows[np.lexsort((rows["row"], rows["file"], rows["key"]))]
    starts = np.flatnonzero(np.r_[True, rows["key"][1:] != rows["key"][:-1], True])
    for start, end in pairwise(starts):
        if end - start > 1:
            yield rows[start:end]
