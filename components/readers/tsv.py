"""Tab-separated lines: `source TAB target`, or columns of a wider table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from .files import lines_of, texts_of
from .options import ReadingConfig
from .rows import Rejected, Row, shown
from .tables import Layout, header_of, row_of


def read_tsv(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each line gives exactly one pair or one rejection; there is no quoting.

    Args:
      stream: the file's bytes, UTF-8.
      file: the name to report.
      config: how to read.
    """
    delimiter = config.delimiter or "\t"
    layout = None if config.columns or config.extra or config.header else Layout.plain()
    longest = config.longest_line
    for number, line in texts_of(lines_of(stream, longest), file, longest):
        if isinstance(line, Rejected):
            yield line
        elif not line.strip():
            yield Rejected("empty_line", "no text", file, number, shown(line))
        elif "\r" in line:
            detail = f"at character {line.index(chr(13)) + 1}: expected lines that end in LF"
            yield Rejected("carriage_return", detail, file, number, shown(line))
        else:
            cells = line.split(delimiter)
            if layout is None:
                layout, is_header = header_of(cells, config, file)
                if is_header:
                    continue
            yield row_of(cells, layout, file, number, config.max_characters, delimiter)
