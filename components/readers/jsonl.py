"""JSON Lines: a record a line, the sides at dotted paths in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import orjson

from .extras import Extras
from .files import lines_of, texts_of
from .options import ReadingConfig
from .records import rows_of
from .rows import Rejected, Row, shown


def read_jsonl(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each line gives one pair or one rejection; a list of targets, one for each of them.

    Args:
      stream: the file's bytes, UTF-8.
      file: the name to report.
      config: how to read.

    Raises:
      PipelineError: no record has a column of `extra`.
    """
    longest = config.longest_line
    extras = Extras(config, file)
    for number, line in texts_of(lines_of(stream, longest), file, longest):
        if isinstance(line, Rejected):
            yield line
            continue
        if not line.strip():
            yield Rejected("empty_line", "no text", file, number, shown(line))
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Rejected("malformed", f"JSON: {error}", file, number, shown(line))
            continue
        if isinstance(record, dict | list):
            yield from rows_of(record, file, number, config, extras)
        else:
            detail = f"expected an object, received {type(record).__name__}"
            yield Rejected("wrong_type", detail, file, number, shown(line))
    extras.check()
