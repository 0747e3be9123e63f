"""Filters that compare pairs with all others: duplicates, exact and near.

What is compared is packed arrays of 64-bit keys, places and, for near duplicates,
signatures of 30 bytes; no text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...models.configuration import Section
from ..readers.rows import Pair
from .together import BEYOND, table_of, texts_with

By = Literal["pair", "source", "target"]

GRAM = 4  # characters
BANDS, ROWS = 6, 5
MOST = 1000  # kept pairs of a band that another is compared with
HASHES = BANDS * ROWS

# What `\d` finds; beyond the first plane all is looked at.
DIGITS = table_of(filter(str.isdecimal, map(chr, range(BEYOND))), beyond=True)

PLACE = [("rank", "u1"), ("file", "<u4"), ("row", "<u4"), ("line", "<u4")]
EXACT = np.dtype([("key", "<u8"), *PLACE])
NEAR = np.dtype([("key", "<u8"), *PLACE, ("signature", "u1", (HASHES,))])

_BASE = np.uint64(0x9E3779B97F4A7C15)
_random = np.random.default_rng(2002)
_FACTORS = _random.integers(1, 1 << 63, HASHES, dtype=np.uint64) | np.uint64(1)
_SUMMANDS = _random.integers(0, 1 << 63, HASHES, dtype=np.uint64)
_MIXERS = _random.integers(1, 1 << 63, (BANDS, ROWS), dtype=np.uint64) | np.uint64(1)


class Duplicates(Section):
    """Of pairs (or sources, or targets) that are the same, the first is kept."""

    filter: Literal["duplicates"]
    by: By = "pair"
    ignore_case: bool = False

    reason: ClassVar[str] = "duplicate"
    packing: ClassVar[np.dtype] = EXACT

    def pack(
        self, file: int, pairs: Sequence[tuple[int, Pair]], ranks: Sequence[int] = ()
    ) -> np.ndarray:
        """The keys of pairs of a file.

        Args:
          file: its number.
          pairs: with the numbers of their rows.
          ranks: a pair of a lower one comes first, in whatever file; none if all are equal.
        """
        packed = _places(file, pairs, ranks, self.packing)
        texts = (compared(pair.source, pair.target, self.by) for _, pair in pairs)
        if self.ignore_case:
            texts = (text.casefold() for text in texts)
        packed["key"] = hashes64(texts)
        return packed

    def matches(self, rows: np.ndarray) -> Iterator[tuple[np.void, np.void | None]]:
        """Of rows of one key, in order: each but the first, and the first."""
        for row in rows[1:]:
            yield row, rows[0]


class NearDuplicates(Section):
    """Of pairs that share most of their character 4-grams, and all digits, the first is kept.

    MinHash (Broder, 1997), banded so that only pairs with some band in common are
    compared; the similarity is estimated, with a standard error of 0.07 at 0.8. Of a
    band that more than `MOST` kept pairs share, as text from templates does, those
    alone that came last are compared. A band knows nothing of others: of a chain in
    which each is near the one before, all but the first may go.
    """

    filter: Literal["near_duplicates"]
    by: By = "pair"
    similarity: Annotated[float, Field(ge=0.5, le=1)] = 0.8  # Jaccard's, of the sets of 4-grams

    reason: ClassVar[str] = "near_duplicate"
    packing: ClassVar[np.dtype] = NEAR

    def pack(
        self, file: int, pairs: Sequence[tuple[int, Pair]], ranks: Sequence[int] = ()
    ) -> np.ndarray:
        """As of `Duplicates`, with a key for each band of each pair."""
        texts = [compared(pair.source, pair.target, self.by) for _, pair in pairs]
        signatures = minhashes(texts)
        packed = np.repeat(_places(file, pairs, ranks, self.packing), BANDS)
        packed["signature"] = np.repeat(signatures.astype(np.uint8), BANDS, axis=0)
        packed["key"] = band_keys(texts, signatures).ravel()
        return packed

    def matches(self, rows: np.ndarray) -> Iterator[tuple[np.void, np.void | None]]:
        """Of rows that share a band, in order: each that is near an earlier one, and that one.

        And each that no near one was found for, and None, where it was not compared with all.
        """
        kept = np.empty((min(len(rows), MOST), HASHES), np.uint8)
        places = np.empty(len(kept), np.int64)
        number = 0
        for place, row in enumerate(rows):
            shared = (kept[:number] == row["signature"]).mean(axis=1)
            if number and shared.max() >= self.similarity:
                yield row, rows[places[int(shared.argmax())]]
                continue
            if number >= MOST:
                yield row, None
            # Of many, the one that came first makes room.
            kept[number % MOST], places[number % MOST] = row["signature"], place
            number += 1


def compared(source: str, target: str, by: By) -> str:
    """The text that is compared."""
    return {"pair": f"{source}\t{target}", "source": source, "target": target}[by]


def hash64(text: str) -> int:
    """A 64-bit hash, the same on every machine and for ever."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def hashes64(texts: Iterable[str]) -> np.ndarray:
    """`hash64` of each of several texts: uint64 [N]."""
    new = hashlib.blake2b
    return np.frombuffer(
        b"".join([new(text.encode(), digest_size=8).digest() for text in texts]), "<u8"
    )


def minhash(text: str) -> np.ndarray:
    """The least of 30 hashes over the 4-grams of a text, letter case and spacing aside: uint64."""
    return minhashes([text])[0]


def minhashes(texts: Sequence[str], hashes: int = HASHES) -> np.ndarray:
    """`minhash` of each of several texts, or the first of its hashes: uint64 [N, hashes]."""
    if not texts:
        return np.empty((0, hashes), np.uint64)
    grams, starts = gram_hashes(texts)
    found = np.empty((len(texts), hashes), np.uint64)
    for place in range(hashes):
        hashed = (grams * _FACTORS[place] + _SUMMANDS[place]) >> np.uint64(32)
        found[:, place] = np.minimum.reduceat(hashed, starts)
    return found


def gram_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the 4-grams of texts, letter case and spacing aside: uint64 [grams].

    One text's after another's, and where each begins; each has one at least.
    """
    texts = [_plain(text) for text in texts]
    points = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4").astype(np.uint64)
    grams = points[: 1 - GRAM]
    for place in range(1, GRAM):
        grams = grams * _BASE + points[place : len(points) - GRAM + 1 + place]
    # Those that begin in one text and end in the next are none.
    lengths = np.array([len(text) for text in texts])
    ends = np.cumsum(lengths)[:-1]
    across = (ends[:, None] - np.arange(1, GRAM)).ravel()
    return np.delete(grams, across), np.r_[0, np.cumsum(lengths - GRAM + 1)[:-1]]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).ljust(GRAM)


def band_keys(texts: Sequence[str], signatures: np.ndarray, bands: int = BANDS) -> np.ndarray:
    """Keys that texts share whose digits are the same and a band, too: uint64 [N, bands]."""
    rows = signatures.shape[1] // bands
    mixed = signatures.reshape(-1, bands, rows) * _MIXERS[:bands, :rows]
    keys = mixed.sum(axis=2, dtype=np.uint64)
    # Texts that differ in a number say different things, however much alike.
    digits = np.full(len(texts), hash64(" "), np.uint64)  # of most texts, which have none
    for place in {*texts_with(DIGITS, texts), *(i for i, text in enumerate(texts) if not text)}:
        digits[place] = hash64(re.sub(r"\D+", " ", texts[place]))
    # Bands must not be taken for one another.
    return keys ^ digits[:, None] ^ (np.arange(bands, dtype=np.uint64) * _BASE)


def _places(
    file: int, pairs: Sequence[tuple[int, Pair]], ranks: Sequence[int], packing: np.dtype
) -> np.ndarray:
    packed = np.zeros(len(pairs), packing)
    packed["rank"] = ranks or 0
    packed["file"] = file
    packed["row"] = [number for number, _ in pairs]
    packed["line"] = [pair.line for _, pair in pairs]
    return packed


def groups(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Rows that share a key with another, each group in the order of ranks and places."""
    rows = rows[np.lexsort((rows["row"], rows["file"], rows["rank"], rows["key"]))]
    starts = np.flatnonzero(np.r_[True, rows["key"][1:] != rows["key"][:-1], True])
    for group in np.flatnonzero(np.diff(starts) > 1):
        yield rows[starts[group] : starts[group + 1]]
