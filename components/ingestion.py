"""From files to kept and rejected pairs, in Beam: what every way in runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from .data_config import DataConfig
from .readers.registry import InputFile, read_pairs
from .readers.rows import Extra, Pair, Rejected

# A plain tuple, for Beam would pickle a named one: file, line, target, extra.
Place = tuple[str, int, str, Extra]
REJECTED = "rejected"


class ReadPairs(beam.DoFn):
    """Reads a file; pairs go to the main output as (source, Place), the rest to 'rejected'."""

    def __init__(self, config: DataConfig):
        self._config = config

    def process(self, file: tuple[tuple[str, ...], str]) -> Iterator[Any]:
        for row in read_pairs(InputFile(*file), self._config):
            if isinstance(row, Rejected):
                yield beam.pvalue.TaggedOutput(REJECTED, tuple(row))
            else:
                yield row.source, (row.file, row.line, row.target, row.extra)


class ReadFiles(beam.PTransform):
    """The rows of files.

    Args:
      files: what to read, each by one worker.
      config: the `data` section.
    """

    def __init__(self, files: list[InputFile], config: DataConfig):
        super().__init__()
        self._files = files
        self._config = config

    def expand(self, pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Files" >> beam.Create([tuple(file) for file in self._files])
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(ReadPairs(self._config)).with_outputs(REJECTED, main="pairs")
        )


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
