"""Held-out sources that have a near twin in train: an evaluation that flatters.

MinHash finds candidates, and the texts themselves decide: how large a part of their
character 4-grams they share (Jaccard's similarity). Texts whose digits differ say
different things, and are no twins. A sample of the held-out sources is looked at, so
that it fits into memory; the sources of train are read from where they were laid aside.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import orjson

from .aside import batches_aside
from .bitext_statistics import EXAMPLE_CHARACTERS, EXAMPLES
from .cleaning.duplicates import band_keys, gram_hashes, minhashes
from .splits import comparables

# 4 bands of 3 hashes: of twins of similarity 0.8 as many as 94 in 100 are found, of 0.9 all.
BANDS, ROWS = 4, 3
# Held-out sources that one of train is compared with, those of the rarest bands first: of text
# made from templates all share a band. One in two bands counts twice.
MOST = 512
LOOKED_AT = 20_000  # held-out sources, those of the smallest hashes
BATCH = 1024
CAPPED = "capped"

# Key of the source, split, the source.
HeldOut = tuple[int, str, str]
# Split, key and beginning of a held-out source, beginning of its twin, their similarity.
Leak = tuple[str, int, str, str, float]


def sample(parts: Iterable[Sequence[HeldOut]]) -> list[HeldOut]:
    """Of held-out sources so many as are looked at, each once, the same in any order."""
    chosen: list[HeldOut] = []
    for part in parts:
        # Of sources with one key the first in order of the alphabet.
        once = {(key, split): (key, split, source) for key, split, source in
                sorted([*chosen, *part], reverse=True)}  # fmt: skip
        chosen = sorted(once.values())[:LOOKED_AT]
    return chosen


def packed(held_out: Sequence[HeldOut]) -> bytes:
    """Held-out sources as one value: of many, Beam would ask each for its size."""
    return orjson.dumps(held_out)


def unpacked(content: bytes) -> list[HeldOut]:
    """What `packed` packed."""
    return [(key, split, source) for key, split, source in orjson.loads(content)]


class FindNearLeaks(beam.DoFn):
    """Finds twins of held-out sources, of which samples come `packed`, in a file laid aside.

    As `CAPPED` come how many sources were not compared with all that may be their twins.

    Args:
      similarity: from which on texts are twins.
    """

    def __init__(self, similarity: float):
        self._similarity = similarity

    def process(self, path: str, samples: Iterable[bytes]) -> Iterator[list[Leak]]:
        held_out = sample(map(unpacked, samples))
        if not held_out:
            return
        texts = [source for _, _, source in held_out]
        grams = GramSets(texts)
        numbers: dict[str, int] = {}  # of what exact leaks have in common
        exact = np.array([numbers.setdefault(text, len(numbers)) for text in comparables(texts)])
        keys = _keys(texts)
        order = np.argsort(keys.ravel(), kind="stable")
        known, owners = keys.ravel()[order], order // BANDS
        found: dict[int, Leak] = {}
        least = np.full(len(texts), self._similarity)  # that is worth a look, of each
        capped = 0
        for sources in _batches(path):
            theirs = _keys(sources)
            begins = np.searchsorted(known, theirs, side="left")
            ends = np.searchsorted(known, theirs, side="right")
            rows = np.flatnonzero((ends > begins).any(axis=1))
            if not len(rows):
                continue
            some = [sources[row] for row in rows]
            for row, source, plain, their in zip(
                rows, some, comparables(some), _gram_sets(some), strict=True
            ):
                twins, whole = _candidates(owners, begins[row], ends[row], source)
                capped += not whole
                # Those are counted elsewhere.
                twins = twins[exact[twins] != numbers.get(plain, -1)]
                similarities = grams.similarities(their, twins, self._similarity)
                for place in np.flatnonzero(similarities >= least[twins]):
                    twin, similarity = int(twins[place]), round(float(similarities[place]), 3)
                    key, split, other = held_out[twin]
                    beginnings = other[:EXAMPLE_CHARACTERS], source[:EXAMPLE_CHARACTERS]
                    leak = split, key, *beginnings, similarity
                    before = found.get(twin)
                    found[twin] = max(before, leak, key=_rank) if before else leak
                    # What is less by so much comes second when it is rounded, too.
                    least[twin] = max(self._similarity, found[twin][4] - 0.001)
        yield list(found.values())
        if capped:
            yield beam.pvalue.TaggedOutput(CAPPED, capped)


def _candidates(
    owners: np.ndarray, begins: np.ndarray, ends: np.ndarray, source: str
) -> tuple[np.ndarray, bool]:
    """Who shares a band with a source, at most `MOST`, and whether those are all.

    Args:
      owners: of the bands, in the order of their keys.
      begins: the place in it of the first owner of each of the source's bands.
      ends: the place after the last.
      source: tells which part of a band is looked at that has too many.
    """
    left = MOST
    taken = []
    sizes = ends - begins
    for band in np.argsort(sizes, kind="stable").tolist():
        size = int(sizes[band])
        if size <= left:
            taken.append(owners[begins[band] : ends[band]])
        else:
            places = (zlib.crc32(source.encode()) + np.arange(left)) % size
            taken.append(owners[begins[band] + places])
        left -= min(size, left)
    return np.unique(np.concatenate(taken)), int(sizes.sum()) <= MOST


class GramSets:
    """The sets of 4-grams of texts, each made once, to compare others with."""

    def __init__(self, texts: Sequence[str]):
        sets = _gram_sets(texts)
        self._sizes = np.array([len(one) for one in sets])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._known, places = np.unique(np.concatenate(sets), return_inverse=True)
        self._places = places.astype(np.int32)

    def similarities(self, grams: np.ndarray, which: np.ndarray, least: float) -> np.ndarray:
        """Jaccard's similarity of a set and some of the texts': float [which].

        Args:
          grams: the set, as hashes in order.
          which: the texts' places.
          least: what cannot reach it, by the sizes alone, is 0.
        """
        sizes = self._sizes[which]
        similarities = np.zeros(len(which))
        close = np.flatnonzero(
            np.minimum(sizes, len(grams)) / np.maximum(sizes, len(grams)) >= least
        )
        if not len(close):
            return similarities
        at = np.searchsorted(self._known, grams)
        at[at == len(self._known)] = 0
        has = np.zeros(len(self._known), bool)
        has[at[self._known[at] == grams]] = True
        sizes, starts = sizes[close], self._starts[which[close]]
        # The texts' grams, one text's after another's.
        begins = np.cumsum(sizes) - sizes
        places = self._places[np.arange(sizes.sum()) + np.repeat(starts - begins, sizes)]
        shared = np.add.reduceat(has[places], begins, dtype=np.int64)
        similarities[close] = shared / (len(grams) + sizes - shared)
        return similarities


def _gram_sets(texts: Sequence[str]) -> list[np.ndarray]:
    grams, starts = gram_hashes(texts)
    return [np.unique(some) for some in np.split(grams, starts[1:])]


def _batches(path: str) -> Iterator[list[str]]:
    for batch in batches_aside(path):
        sources = batch.column(0).to_pylist()
        for start in range(0, len(sources), BATCH):
            yield sources[start : start + BATCH]


def _keys(texts: Sequence[str]) -> np.ndarray:
    signatures = minhashes(texts, BANDS * ROWS)
    return band_keys(texts, signatures, BANDS)


def _rank(leak: Leak) -> tuple[float, str]:
    return leak[4], leak[3]


def add_near_leaks(parts: Iterable[Sequence[Leak]]) -> list[Leak]:
    """The nearest twin of each held-out source."""
    nearest: dict[tuple[str, int], Leak] = {}
    for leak in (leak for part in parts for leak in part):
        before = nearest.get(leak[:2])
        nearest[leak[:2]] = max(before, leak, key=_rank) if before else leak
    return sorted(nearest.values())


def near_leak_statistics(
    leaks: Sequence[Leak], held_out: Sequence[HeldOut], splits: Sequence[str], capped: int = 0
) -> dict[str, Any]:
    """How many held-out sources were looked at and have a twin, by split, and examples.

    `capped` is how many sources of train were not compared with all that may be twins.
    """
    shown = sorted(leaks, key=lambda leak: (-leak[4], leak[2:4]))[:EXAMPLES]
    return {
        "looked_at": {s: sum(split == s for _, split, _ in held_out) for s in splits},
        "found": {s: sum(leak[0] == s for leak in leaks) for s in splits},
        "capped": capped,
        "examples": [[split, ours, theirs, near] for split, _, ours, theirs, near in shown],
    }
