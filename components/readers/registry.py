"""Which reader reads which file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, NamedTuple, cast

from .aligned import read_aligned
from .compression import DAMAGE, bare_name
from .csv import read_csv
from .files import opened
from .gettext import read_gettext
from .jsonl import read_jsonl
from .options import ReadingConfig
from .parquet import read_parquet
from .pieces import Piece, PieceStream
from .rows import Row, unreadable
from .tatoeba import read_tatoeba
from .tfrecord import read_tfrecord
from .tmx import read_tmx
from .tsv import read_tsv
from .xliff import read_xliff

# Of a stream, its name and the configuration.
READERS: dict[str, Callable[..., Iterator[Row]]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "tatoeba": read_tatoeba,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "tmx": read_tmx,
    "xliff": read_xliff,
    "gettext": read_gettext,
    "tfrecord": read_tfrecord,
}
ENDINGS = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".tmx": "tmx",
    ".xlf": "xliff",
    ".xliff": "xliff",
    ".po": "gettext",
    ".mo": "gettext",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}


class InputFile(NamedTuple):
    """What one reader reads at a time."""

    paths: tuple[str, ...]  # two of aligned files, else one
    format: str
    split: str = ""  # that it is given for


def format_of(path: str) -> str | None:
    """The format that the ending of a name tells, compression aside; None if it tells none."""
    return ENDINGS.get(os.path.splitext(bare_name(path))[1].lower())


def read_pairs(file: InputFile, config: ReadingConfig, piece: Piece | None = None) -> Iterator[Row]:
    """The rows of a file, or of a piece of it, in order.

    Raises:
      PipelineError: it cannot be read, or not to its end; the message names it.
    """
    with ExitStack() as stack:
        streams = []
        for path in file.paths:
            try:
                streams.append(stack.enter_context(opened(path)))
            except DAMAGE as error:
                raise unreadable(path, error) from error
        if file.format == "aligned":
            rows = read_aligned(streams, file.paths, config)
        elif piece:
            part = cast(IO[bytes], PieceStream(streams[0], piece))
            rows = read_tsv(part, file.paths[0], config, piece.line)
        else:
            rows = READERS[file.format](*streams, *file.paths, config)
        number = 0
        try:
            for number, row in enumerate(rows, start=1):  # noqa: B007  told below
                yield row
        except DAMAGE as error:
            told = f"after {number:,} rows: {error}" if number else error
            raise unreadable(file.paths[0], told) from error
