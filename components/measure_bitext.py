"""Statistics of text pairs, duplicates and leakage between splits, in Beam."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.transforms.window import GlobalWindows

from ..models import features
from .bitext_statistics import EXAMPLE_CHARACTERS, EXAMPLES, BitextCounts
from .cleaning.duplicates import hash64
from .splits import comparable

SHARDS = 64
PACKED_ROWS = 1 << 14
KEYS = np.dtype([("key", "<u8"), ("pair", "<u8")])

# A row is (split, source, target).
Row = tuple[str, str, str]


class MeasureBitext(beam.PTransform):
    """Rows of (split, source, target) to one line of JSON.

    Keys of 64 bits cross the shuffle, and of what is not for training the
    beginning of the source, to show what leaks.
    """

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        counts = (
            rows
            | "Count" >> beam.ParDo(CountBitext())
            | "AddCounts" >> beam.CombineGlobally(AddCounts())
        )
        leaks = (
            rows
            | "Keys" >> beam.ParDo(PackSources())
            | "ByShard" >> beam.GroupByKey()
            | "Compare" >> beam.MapTuple(compare_splits)
            | "AddLeaks" >> beam.CombineGlobally(add_leaks)
        )
        return counts | "Together" >> beam.Map(together_as_json, beam.pvalue.AsSingleton(leaks))


def together_as_json(counts: dict[str, Any], leaks: dict[str, Any]) -> str:
    """Counts and leaks as one line of JSON."""
    return json.dumps({**counts, **leaks}, ensure_ascii=False)


class CountBitext(beam.DoFn):
    """Counts over a bundle of rows."""

    def start_bundle(self) -> None:
        self._counts = BitextCounts()

    def process(self, row: Row) -> None:
        self._counts.add(row[1], row[2])

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
    """Rows to (shard, packed keys) of what is for training, (shard, a tuple) of the rest."""

    def start_bundle(self) -> None:
        self._waiting: list[tuple[int, int]] = []

    def process(self, row: Row) -> Iterator[tuple[int, Any]]:
        split, source, target = row
        key, pair = hash64(comparable(source)), hash64(f"{source}\t{target}")
        if split != features.TRAIN:
            yield key % SHARDS, (split, key, pair, source[:EXAMPLE_CHARACTERS])
            return
        self._waiting.append((key, pair))
        if len(self._waiting) >= PACKED_ROWS:
            yield from self._packed()

    def finish_bundle(self) -> Iterator[Any]:
        for element in self._packed():
            yield GlobalWindows.windowed_value(element)

    def _packed(self) -> Iterator[tuple[int, bytes]]:
        packed = np.array(self._waiting, KEYS)
        self._waiting = []
        shards = packed["key"] % np.uint64(SHARDS)
        for shard in np.unique(shards):
            yield int(shard), packed[shards == shard].tobytes()


def compare_splits(_: int, elements: Iterable[Any]) -> dict[str, Any]:
    """Duplicates and leaks among rows whose sources may be twins."""
    elements = list(elements)
    train = np.frombuffer(b"".join(e for e in elements if isinstance(e, bytes)), KEYS)
    others = sorted(e for e in elements if not isinstance(e, bytes))
    pairs = np.r_[train["pair"], np.array([pair for _, _, pair, _ in others], np.uint64)]
    learned = set(train["key"].tolist())
    tested = {key for split, key, _, _ in others if split == features.TEST}
    leaks: dict[str, set[int]] = {features.VALIDATION: set(), features.TEST: set()}
    seen: dict[str, set[int]] = {features.VALIDATION: set(), features.TEST: set()}
    examples = []
    for split, key, _, source in others:
        seen[split].add(key)
        into = "train" if key in learned else "test" if split == features.VALIDATION else ""
        if key in learned or (into and key in tested):
            leaks[split].add(key)
            examples.append((split, into, source))
    return {
        "duplicates": int(len(pairs) - len(np.unique(pairs))),
        "held_out_sources": {split: len(keys) for split, keys in seen.items()},
        "leaked_sources": {split: len(keys) for split, keys in leaks.items()},
        "leaks": examples[:EXAMPLES],
    }


def add_leaks(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sum of what was found in shards."""
    both = (features.VALIDATION, features.TEST)
    total: dict[str, Any] = {
        "duplicates": 0,
        "held_out_sources": dict.fromkeys(both, 0),
        "leaked_sources": dict.fromkeys(both, 0),
        "leaks": [],
    }
    for part in parts:
        total["duplicates"] += part["duplicates"]
        for name in ("held_out_sources", "leaked_sources"):
            for split in both:
                total[name][split] += part[name][split]
        total["leaks"] = sorted(map(tuple, [*total["leaks"], *part["leaks"]]))[:EXAMPLES]
    return total
