"""Pairs to Examples, each split in files of its own: what workers do for PairExampleGen.

Apart from the component, for a worker that has nothing to do with TFX need not import it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence

import apache_beam as beam

from ..models import features
from .aside import part_of
from .example_files import example_of, values_of, write_tfrecord
from .ingestion import PairRow
from .splits import SPLITS, Splitter

WRITTEN, ACCEPTED = "written", "accepted"


class WriteExamples(beam.DoFn):
    """Writes all pairs of some sources as Examples, each to the files of its split.

    Every pair is an Example of its own, but in the test split, where a source
    is decoded once and compared with all of its references. Gives, as `WRITTEN`, how
    many there are of each split and how many pairs went in, as a dictionary.

    Args:
      given: tells the split of a pair.
      folders: of each split.
      parts: how many there are of all pairs.
    """

    def __init__(self, given: Splitter, folders: dict[str, str], parts: int):
        self._given = given
        self._folders = folders
        self._parts = parts

    def process(self, rows: Sequence[PairRow]) -> Iterator[tuple[str, dict[str, int]]]:
        by_source: dict[str, list[PairRow]] = {}
        for row in rows:
            by_source.setdefault(row[0], []).append(row)
        records: dict[str, list[bytes]] = {split: [] for split in SPLITS}
        # In an order that has nothing to do with that of the files.
        sources = sorted([(zlib.crc32(source.encode()), source) for source in by_source])
        groups = [by_source[source] for _, source in sources]
        for split, pairs in self._by_split(groups):
            records[split] += _examples(pairs[0][0], pairs, split)
        # A part's files have names of their own: what a failed attempt left is written over.
        part = part_of(rows[0][0], self._parts)
        name = f"data_tfrecord-{part:05d}-of-{self._parts:05d}.gz"
        for split, examples in records.items():
            if examples:
                write_tfrecord(os.path.join(self._folders[split], name), examples)
        numbers = {split: len(examples) for split, examples in records.items()}
        yield WRITTEN, {ACCEPTED: len(rows), **numbers}

    def _by_split(self, groups: list[list[PairRow]]) -> Iterator[tuple[str, list[PairRow]]]:
        if not self._given.by_pair:
            yield from zip(self._splits([rows[0] for rows in groups]), groups, strict=True)
            return
        for rows in groups:
            found: dict[str, list[PairRow]] = {}
            for split, row in zip(self._splits(rows), rows, strict=True):
                found.setdefault(split, []).append(row)
            yield from found.items()

    def _splits(self, rows: Sequence[PairRow]) -> list[str]:
        return self._given.splits([(source, file, extra) for source, _, file, _, extra in rows])


def _examples(source: str, rows: Sequence[PairRow], split: str) -> list[bytes]:
    """All pairs of a source in a split as Examples; of the test split, one."""
    references = list(dict.fromkeys([row[1] for row in rows]))
    shared = {features.SOURCE: values_of([source]), features.REFERENCES: values_of(references)}
    encoded = []
    for _, target, _, _, extra in rows[:1] if split == features.TEST else rows:
        alone = len(references) == 1
        values = shared[features.REFERENCES] if alone else values_of([target])
        others = {name: values_of([value]) for name, value in extra}
        encoded.append(example_of({**shared, features.TARGET: values, **others}))
    return encoded
