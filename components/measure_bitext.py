"""Statistics of text pairs, duplicates and leakage between splits, in Beam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from ..models import features
from .aside import Aside, RowsAside, by_shard, bytes_aside
from .bitext_statistics import EXAMPLE_CHARACTERS, EXAMPLES, BitextCounts
from .cleaning.duplicates import hash64, hashes64
from .near_leaks import (
    CAPPED,
    LOOKED_AT,
    FindNearLeaks,
    HeldOut,
    add_near_leaks,
    near_leak_statistics,
    packed,
    sample,
    unpacked,
)
from .splits import SPLITS, comparables

SHARDS = 64
STATISTICS = "statistics"
COUNTS, LEAKS, NEAR_LEAKS = "counts", "leaks", "near_leaks"
LEARNED, SAMPLE = "learned", "sample"
KEYS = np.dtype([("key", "<u8"), ("pair", "<u8"), ("split", "u1")])
HELD_OUT = (features.VALIDATION, features.TEST)

# A row is (split, source, target).
Row = tuple[str, str, str]


class MeasureBitext(beam.PTransform):
    """Batches of (split, source, target) to parts of `STATISTICS`, for `merge_statistics`.

    Keys of 64 bits are laid aside by shard, and of what is not for training the
    beginning of the source, to show what leaks.

    Args:
      scratch: a folder for what is laid aside; whoever made it removes it.
      similarity: from which on a source of train is a near twin of a held-out one; None
        looks for none.
    """

    def __init__(self, scratch: str, similarity: float | None = None):
        super().__init__()
        self._scratch = scratch
        self._similarity = similarity

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        counts = batches | "Count" >> beam.ParDo(CountBitext())
        aside = batches | "LayAside" >> beam.ParDo(
            PackSources(self._scratch, self._similarity is not None)
        ).with_outputs(LEARNED, SAMPLE, main="keys")
        leaks = (
            aside["keys"]
            | "ByShard" >> beam.GroupByKey()
            | "Compare" >> beam.MapTuple(compare_splits)
        )
        found = [(COUNTS, counts), (LEAKS, leaks)]
        if self._similarity is not None:
            near = aside[LEARNED] | "NearLeaks" >> beam.ParDo(
                FindNearLeaks(self._similarity), beam.pvalue.AsIter(aside[SAMPLE])
            ).with_outputs(CAPPED, main=NEAR_LEAKS)
            found += [(NEAR_LEAKS, near[NEAR_LEAKS]), (CAPPED, near[CAPPED])]
            found += [(SAMPLE, aside[SAMPLE])]
        return (
            tuple(
                parts | f"Name_{kind}" >> beam.Map(part_of_statistics, kind)
                for kind, parts in found
            )
            | beam.Flatten()
        )


def part_of_statistics(part: Any, kind: str) -> tuple[str, tuple[str, Any]]:
    """A part as `merge_statistics` knows it, by name for `Gather`."""
    return STATISTICS, (kind, part)


def merge_statistics(parts: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """All statistics, as plain values."""
    by_kind: dict[str, list[Any]] = {}
    for kind, part in parts:
        by_kind.setdefault(kind, []).append(part)
    counts = BitextCounts()
    for part in by_kind.get(COUNTS, ()):
        counts.merge(part)
    told = {**counts.as_dict(), **add_leaks(by_kind.get(LEAKS, ()))}
    if SAMPLE in by_kind:
        near, held_out = (
            add_near_leaks(by_kind.get(NEAR_LEAKS, ())),
            sample(map(unpacked, by_kind[SAMPLE])),
        )
        told["near_leaks"] = near_leak_statistics(
            near, held_out, HELD_OUT, sum(by_kind.get(CAPPED, ()))
        )
    return told


class CountBitext(beam.DoFn):
    """Counts over a bundle of rows."""

    def start_bundle(self) -> None:
        self._counts = BitextCounts()

    def process(self, rows: Sequence[Row]) -> None:
        held_out = [row[0] != features.TRAIN for row in rows]
        self._counts.add_all([row[1:] for row in rows], held_out)

    def finish_bundle(self) -> Iterator[Any]:
        yield GlobalWindows.windowed_value(self._counts)


class PackSources(beam.DoFn):
    """Lays aside the keys of rows and the beginnings of held-out sources: (shard, (kind, path)).

    Args:
      scratch: the folder.
      near: give the files with the sources of train, too, and a sample of the held-out ones.
    """

    def __init__(self, scratch: str, near: bool):
        self._scratch = scratch
        self._near = near

    def start_bundle(self) -> None:
        self._aside, self._texts = Aside(self._scratch), Aside(self._scratch)
        self._learned = RowsAside(self._texts, pa.schema([("source", pa.string())]))
        self._sample: list[HeldOut] = []

    def process(self, rows: Sequence[Row]) -> None:
        rows_packed = np.empty(len(rows), KEYS)
        splits, sources, targets = zip(*rows, strict=True)
        rows_packed["key"] = hashes64(comparables(sources))
        rows_packed["pair"] = hashes64(map("\t".join, zip(sources, targets, strict=True)))
        rows_packed["split"] = list(map(SPLITS.index, splits))
        held_out = rows_packed["split"] != SPLITS.index(features.TRAIN)
        for place in np.flatnonzero(held_out).tolist():
            key, split, source = int(rows_packed["key"][place]), splits[place], sources[place]
            line = orjson.dumps([key, split, source[:EXAMPLE_CHARACTERS]])
            self._aside.file((key % SHARDS, "sources")).write(line + b"\n")
            self._sample.append((key, split, source))
        if self._near:
            learned = list(compress(sources, (~held_out).tolist()))
            self._learned.add([(source,) for source in learned], sum(map(len, learned)))
        if len(self._sample) > 2 * LOOKED_AT:
            self._sample = sample([self._sample])
        for shard, some in by_shard(rows_packed, SHARDS):
            self._aside.file((shard, "keys")).write(some.tobytes())

    def finish_bundle(self) -> Iterator[Any]:
        for (shard, kind), path in self._aside.close():
            yield GlobalWindows.windowed_value((shard, (kind, path)))
        self._learned.close()
        for _, path in self._texts.close():
            yield beam.pvalue.TaggedOutput(LEARNED, GlobalWindows.windowed_value(path))
        if self._near:
            chosen = GlobalWindows.windowed_value(packed(sample([self._sample])))
            yield beam.pvalue.TaggedOutput(SAMPLE, chosen)


def compare_splits(_: int, files: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Duplicates and leaks among rows whose sources may be twins."""
    files = sorted(files)
    rows = np.frombuffer(bytes_aside([path for kind, path in files if kind == "keys"]), KEYS)
    keys = {split: np.unique(rows["key"][rows["split"] == n]) for n, split in enumerate(SPLITS)}
    into = {
        features.VALIDATION: (features.TRAIN, features.TEST),
        features.TEST: (features.TRAIN,),
    }
    leaks = {
        split: {other: set(np.intersect1d(keys[split], keys[other]).tolist()) for other in others}
        for split, others in into.items()
    }
    pairs, numbers = np.unique(rows["pair"], return_counts=True)
    often = np.argsort(-numbers, kind="stable")[:EXAMPLES]
    repeated = [(int(pairs[at]), int(numbers[at])) for at in often if numbers[at] > 1]
    examples = set()  # a source may have many targets
    for line in bytes_aside([path for kind, path in files if kind == "sources"]).splitlines():
        key, split, source = orjson.loads(line)
        other = next((name for name, found in leaks[split].items() if key in found), None)
        if other:
            examples.add((split, other, source))
    return {
        "duplicates": int(len(rows) - len(pairs)),
        "repeated": repeated,
        "held_out_sources": {split: len(keys[split]) for split in HELD_OUT},
        "leaked_sources": {split: len(set().union(*leaks[split].values())) for split in HELD_OUT},
        "leaks": sorted(examples)[:EXAMPLES],
    }


def add_leaks(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sum of what was found in shards."""
    total: dict[str, Any] = {
        "duplicates": 0,
        "repeated": [],
        "held_out_sources": dict.fromkeys(HELD_OUT, 0),
        "leaked_sources": dict.fromkeys(HELD_OUT, 0),
        "leaks": [],
    }
    for part in parts:
        total["duplicates"] += part["duplicates"]
        repeated = sorted(map(tuple, [*total["repeated"], *part["repeated"]]), key=_often)
        total["repeated"] = repeated[:EXAMPLES]
        for name in ("held_out_sources", "leaked_sources"):
            for split in HELD_OUT:
                total[name][split] += part[name][split]
        total["leaks"] = sorted(map(tuple, [*total["leaks"], *part["leaks"]]))[:EXAMPLES]
    return total


def _often(repeated: tuple[int, int]) -> tuple[int, int]:
    return -repeated[1], repeated[0]


def repeated_texts(
    repeated: Iterable[tuple[int, int]], pairs: Iterable[tuple[str, str]]
) -> list[tuple[int, str, str]]:
    """Of the pairs that come most often how often, and the beginnings of their sides.

    Args:
      repeated: key and number of each, as `add_leaks` has them.
      pairs: all pairs, which are read until each of them came.
    """
    wanted = dict(repeated)
    found = []
    for source, target in pairs:
        if not wanted:
            break
        number = wanted.pop(hash64(f"{source}\t{target}"), None)
        if number:
            found.append((number, source[:EXAMPLE_CHARACTERS], target[:EXAMPLE_CHARACTERS]))
    return sorted(found, key=lambda text: (-text[0], text[1:]))
