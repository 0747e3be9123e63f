"""Sentence pairs as Tatoeba exports them: `id TAB sentence TAB id TAB translation`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from .files import lines_of, texts_of
from .options import ReadingConfig
from .rows import Row
from .tables import Layout
from .tsv import rows_of_lines

PLACES = {"source_id": 0, "source": 1, "target_id": 2, "target": 3}


def read_tatoeba(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each line gives one pair or one rejection.

    Args:
      stream: the file's bytes, UTF-8.
      file: the name to report.
      config: how to read; `extra` knows the columns `source_id` and `target_id`.
    """
    extra = tuple(
        (name, PLACES[column] if isinstance(column, str) else column - 1)
        for name, column in config.extra.items()
    )
    layout = Layout.of(PLACES["source"], PLACES["target"], extra, len(PLACES))
    lines = texts_of(lines_of(stream, config.longest_line), file, config.longest_line)
    yield from rows_of_lines(lines, layout, file, config, "\t")
