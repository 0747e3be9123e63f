"""Held-out sources that have a near twin in train: an evaluation that flatters.

MinHash finds candidates, and the texts themselves decide: how large a part of their
character 4-grams they share (Jaccard's similarity). Texts whose digits differ say
different things, and are no twins. A sample of the held-out sources is looked at, so
that it fits into memory; the sources of train are read from where they were laid aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import orjson

from .aside import batches_aside
from .bitext_statistics import EXAMPLE_CHARACTERS, EXAMPLES
from .cleaning.duplicates import band_keys, comparable_grams, minhashes
from .splits import comparable

# 4 bands of 3 hashes: of twins of similarity 0.8 as many as 94 in 100 are found, of 0.9 all.
BANDS, ROWS = 4, 3
LOOKED_AT = 20_000  # held-out sources, those of the smallest hashes
BATCH = 1024

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
        keys = _keys(texts)
        order = np.argsort(keys.ravel(), kind="stable")
        known = keys.ravel()[order]
        found: dict[tuple[str, int], Leak] = {}
        for batch in batches_aside(path):
            sources = batch.column(0).to_pylist()
            for start in range(0, len(sources), BATCH):
                some = sources[start : start + BATCH]
                theirs = _keys(some)
                begins = np.searchsorted(known, theirs, side="left")
                ends = np.searchsorted(known, theirs, side="right")
                for row in np.flatnonzero((ends > begins).any(axis=1)):
                    twins = {
                        int(place) // BANDS
                        for begin, end in zip(begins[row], ends[row], strict=True)
                        for place in order[begin:end]
                    }
                    for leak in self._leaks(some[row], [held_out[twin] for twin in twins]):
                        before = found.get(leak[:2])
                        found[leak[:2]] = max(before, leak, key=_rank) if before else leak
        yield list(found.values())

    def _leaks(self, source: str, twins: Sequence[HeldOut]) -> Iterator[Leak]:
        grams = comparable_grams(source)
        for key, split, other in twins:
            if comparable(source) == comparable(other):
                continue  # counted among those that leak exactly
            others = comparable_grams(other)
            similarity = len(grams & others) / len(grams | others)
            if similarity >= self._similarity:
                beginnings = other[:EXAMPLE_CHARACTERS], source[:EXAMPLE_CHARACTERS]
                yield split, key, *beginnings, round(similarity, 3)


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
    leaks: Sequence[Leak], held_out: Sequence[HeldOut], splits: Sequence[str]
) -> dict[str, Any]:
    """How many held-out sources were looked at and have a twin, by split, and examples."""
    shown = sorted(leaks, key=lambda leak: (-leak[4], leak[2:4]))[:EXAMPLES]
    return {
        "looked_at": {s: sum(split == s for _, split, _ in held_out) for s in splits},
        "found": {s: sum(leak[0] == s for leak in leaks) for s in splits},
        "examples": [[split, ours, theirs, near] for split, _, ours, theirs, near in shown],
    }
