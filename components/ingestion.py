"""From files to kept and rejected pairs, in Beam: what every way in runs.

Text goes from the files to the outputs in one stage. Where pairs are compared
with one another the files are read twice: first for keys alone, which cross a
shuffle, then for the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from .cleaning.duplicates import groups
from .cleaning.filter import PairFilter
from .cleaning.filters import clean
from .data_config import DataConfig
from .readers.registry import InputFile, read_pairs
from .readers.rows import Extra, Pair, Rejected, Row, shown

# A plain tuple, for Beam would pickle a named one: file, line, target, extra.
Place = tuple[str, int, str, Extra]
REJECTED = "rejected"
SHARDS = 64
PACKED_ROWS = 1 << 14


class ReadFiles(beam.PTransform):
    """The rows of files: pairs as (source, Place), and 'rejected' ones.

    Args:
      files: what to read, each by one worker.
      config: the `data` section.
    """

    def __init__(self, files: list[InputFile], config: DataConfig):
        super().__init__()
        self._files = files
        self._config = config

    def expand(self, pipeline: beam.Pipeline) -> Any:
        files = (
            pipeline
            | "Files" >> beam.Create([(i, *file) for i, file in enumerate(self._files)])
            | "Spread" >> beam.Reshuffle()
        )
        found = []
        if self._config.comparisons:
            found = [
                beam.pvalue.AsDict(
                    files
                    | "Keys" >> beam.ParDo(PackKeys(self._config))
                    | "ByShard" >> beam.GroupByKey()
                    | "Compare" >> beam.ParDo(Compare(self._config, self._files))
                    | "FirstReason" >> beam.CombinePerKey(min)
                )
            ]
        read = beam.ParDo(ReadPairs(self._config), *found).with_outputs(REJECTED, main="pairs")
        return files | "Read" >> read


def cleaned_rows(paths: tuple[str, ...], file_format: str, config: DataConfig) -> Iterator[Row]:
    """The rows of a file after all filters that look at one pair alone."""
    filters = [each for each in config.cleaning if isinstance(each, PairFilter)]
    for row in read_pairs(InputFile(paths, file_format), config):
        yield clean(row, filters)


class ReadPairs(beam.DoFn):
    """Reads a file; rows that were found to be duplicates are rejected, too."""

    def __init__(self, config: DataConfig):
        self._config = config

    def process(
        self,
        file: tuple[int, tuple[str, ...], str],
        duplicates: dict[tuple[int, int], tuple[int, str, str]] | None = None,
    ) -> Iterator[Any]:
        place, paths, file_format = file
        for number, row in enumerate(cleaned_rows(paths, file_format, self._config)):
            if isinstance(row, Pair) and duplicates and (place, number) in duplicates:
                _, reason, detail = duplicates[place, number]
                row = Rejected(reason, detail, row.file, row.line, shown(row.source, row.target))
            if isinstance(row, Rejected):
                yield beam.pvalue.TaggedOutput(REJECTED, tuple(row))
            else:
                yield row.source, (row.file, row.line, row.target, row.extra)


class PackKeys(beam.DoFn):
    """Reads a file, and gives the keys of its pairs as (comparison and shard, packed rows)."""

    def __init__(self, config: DataConfig):
        self._config = config

    def process(
        self, file: tuple[int, tuple[str, ...], str]
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        place, paths, file_format = file
        waiting: list[list[Any]] = [[] for _ in self._config.comparisons]
        for number, row in enumerate(cleaned_rows(paths, file_format, self._config)):
            if isinstance(row, Pair):
                for which, comparison in enumerate(self._config.comparisons):
                    for key, *rest in comparison.entries(row.source, row.target):
                        waiting[which].append((key, place, number, row.line, *rest))
                    if len(waiting[which]) >= PACKED_ROWS:
                        yield from self._packed(which, waiting[which])
                        waiting[which] = []
        for which, rows in enumerate(waiting):
            yield from self._packed(which, rows)

    def _packed(self, which: int, rows: list[Any]) -> Iterator[tuple[tuple[int, int], bytes]]:
        packed = np.array(rows, self._config.comparisons[which].packing)
        shards = packed["key"] % np.uint64(SHARDS)
        for shard in np.unique(shards):
            yield (which, int(shard)), packed[shards == shard].tobytes()


class Compare(beam.DoFn):
    """Finds the duplicates of a shard: (file, row) -> (comparison, reason, detail)."""

    def __init__(self, config: DataConfig, files: list[InputFile]):
        self._comparisons = config.comparisons
        self._files = files

    def process(
        self, shard: tuple[tuple[int, int], Iterable[bytes]]
    ) -> Iterator[tuple[tuple[int, int], tuple[int, str, str]]]:
        (which, _), packed = shard
        comparison = self._comparisons[which]
        for rows in groups(np.frombuffer(b"".join(packed), comparison.packing)):
            for row, first in comparison.matches(rows):
                detail = f"of {self._files[first['file']].paths[0]}:{first['line']}"
                yield (int(row["file"]), int(row["row"])), (which, comparison.reason, detail)


def pair_of(row: tuple[str, Place]) -> Pair:
    """A kept row by its names again."""
    source, (file, line, target, extra) = row
    return Pair(source, target, file, line, extra)


def rejected_as_json(row: tuple[Any, ...]) -> str:
    """A rejected row as a line of JSON."""
    return json.dumps(Rejected(*row)._asdict(), ensure_ascii=False)


def kept_as_json(row: tuple[str, Place]) -> str:
    """A kept row as a line of JSON, which the reader of JSON Lines takes by itself."""
    pair = pair_of(row)
    record = {"source": pair.source, "target": pair.target, **dict(pair.extra)}
    return json.dumps({**record, "file": pair.file, "line": pair.line}, ensure_ascii=False)
