"""Statistics of text pairs, duplicates and leakage between splits, in Beam."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import orjson
from apache_beam.transforms.window import GlobalWindows

from ..models import features
from .aside import Aside, bytes_aside
from .bitext_statistics import EXAMPLE_CHARACTERS, EXAMPLES, BitextCounts
from .cleaning.duplicates import hash64
from .splits import SPLITS, comparable

SHARDS = 64
KEYS = np.dtype([("key", "<u8"), ("pair", "<u8"), ("split", "u1")])
HELD_OUT = (features.VALIDATION, features.TEST)

# A row is (split, source, target).
Row = tuple[str, str, str]


class MeasureBitext(beam.PTransform):
    """Batches of (split, source, target) to one line of JSON.

    Keys of 64 bits are laid aside by shard, and of what is not for training the
    beginning of the source, to show what leaks.

    Args:
      scratch: a folder for what is laid aside; whoever made it removes it.
    """

    def __init__(self, scratch: str):
        super().__init__()
        self._scratch = scratch

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        counts = (
            batches
            | "Count" >> beam.ParDo(CountBitext())
            | "AddCounts" >> beam.CombineGlobally(AddCounts())
        )
        leaks = (
            batches
            | "Keys" >> beam.ParDo(PackSources(self._scratch))
            | "ByShard" >> beam.GroupByKey()
            | "Compare" >> beam.MapTuple(compare_splits)
            | "AddLeaks" >> beam.CombineGlobally(add_leaks)
        )
        return counts | "Together" >> beam.Map(
            lambda counts, leaks: json.dumps({**counts, **leaks}, ensure_ascii=False),
            beam.pvalue.AsSingleton(leaks),
        )


class CountBitext(beam.DoFn):
    """Counts over a bundle of rows."""

    def start_bundle(self) -> None:
        self._counts = BitextCounts()

    def process(self, rows: Sequence[Row]) -> None:
        self._counts.add_all([row[1:] for row in rows])

    def finish_bundle(self) -> Iterator[Any]:
        yield GlobalWindows.windowed_value(self._counts)


class AddCounts(beam.CombineFn):
    """Adds counts."""

    def create_accumulator(self) -> BitextCounts:
        return BitextCounts()

    def add_input(self, counts: BitextCounts, more: BitextCounts) -> BitextCounts:
        counts.merge(more)
        return counts

    def merge_accumulators(self, parts: Iterable[BitextCounts]) -> BitextCounts:
        merged = BitextCounts()
        for part in parts:
            merged.merge(part)
        return merged

    def extract_output(self, counts: BitextCounts) -> dict[str, Any]:
        return counts.as_dict()


class PackSources(beam.DoFn):
    """Lays aside the keys of rows and the beginnings of held-out sources: (shard, (kind, path))."""

    def __init__(self, scratch: str):
        self._scratch = scratch

    def start_bundle(self) -> None:
        self._aside = Aside(self._scratch)

    def process(self, rows: Sequence[Row]) -> None:
        packed = np.empty(len(rows), KEYS)
        packed["key"] = [hash64(comparable(source)) for _, source, _ in rows]
        packed["pair"] = [hash64(f"{source}\t{target}") for _, source, target in rows]
        packed["split"] = [SPLITS.index(split) for split, _, _ in rows]
        for place in np.flatnonzero(packed["split"] != SPLITS.index(features.TRAIN)):
            key = int(packed["key"][place])
            line = orjson.dumps([key, rows[place][0], rows[place][1][:EXAMPLE_CHARACTERS]])
            self._aside.file((key % SHARDS, "sources")).write(line + b"\n")
        shards = packed["key"] % np.uint64(SHARDS)
        for shard in np.unique(shards):
            self._aside.file((int(shard), "keys")).write(packed[shards == shard].tobytes())

    def finish_bundle(self) -> Iterator[Any]:
        for (shard, kind), path in self._aside.close():
            yield GlobalWindows.windowed_value((shard, (kind, path)))


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
    examples = []
    for line in bytes_aside([path for kind, path in files if kind == "sources"]).splitlines():
        key, split, source = orjson.loads(line)
        other = next((name for name, found in leaks[split].items() if key in found), None)
        if other:
            examples.append((split, other, source))
    return {
        "duplicates": int(len(rows) - len(np.unique(rows["pair"]))),
        "held_out_sources": {split: len(keys[split]) for split in HELD_OUT},
        "leaked_sources": {split: len(set().union(*leaks[split].values())) for split in HELD_OUT},
        "leaks": sorted(examples)[:EXAMPLES],
    }


def add_leaks(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sum of what was found in shards."""
    total: dict[str, Any] = {
        "duplicates": 0,
        "held_out_sources": dict.fromkeys(HELD_OUT, 0),
        "leaked_sources": dict.fromkeys(HELD_OUT, 0),
        "leaks": [],
    }
    for part in parts:
        total["duplicates"] += part["duplicates"]
        for name in ("held_out_sources", "leaked_sources"):
            for split in HELD_OUT:
                total[name][split] += part[name][split]
        total["leaks"] = sorted(map(tuple, [*total["leaks"], *part["leaks"]]))[:EXAMPLES]
    return total
