"""Comma-separated values (RFC 4180), whose quoted cells may hold line breaks."""

from __future__ import annotations

import csv
import re
import sys
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

from .files import lines_of, texts_of
from .options import ReadingConfig
from .rows import Rejected, Row, shown
from .tables import check_header, header_of, row_of

# By itself Python refuses a record with a cell of more than 131,072 characters; here lines
# have a limit.
csv.field_size_limit(sys.maxsize)
# A quote that is never closed would swallow the rest of the file: no record is longer.
MOST_LINES = 1000
# A first line by which spreadsheets tell one another what separates cells.
SEPARATOR = re.compile(r'sep=([^"\r\n])', re.IGNORECASE | re.ASCII)


def read_csv(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each record gives one pair or one rejection; of one that does not parse, each line.

    Args:
      stream: the file's bytes, UTF-8.
      file: the name to report.
      config: how to read.
    """
    delimiter = config.delimiter or ","
    layout = None
    longest = config.longest_line
    lines = _Lines(texts_of(lines_of(stream, longest), file, longest), longest)
    while lines.more():
        number, first = lines.peek()
        if isinstance(first, Rejected):
            lines.drop(1)
            if layout is None:
                check_header(first, config)
            yield first
            continue
        if number == 1 and (told := SEPARATOR.fullmatch(first)):
            delimiter = config.delimiter or told[1]
            lines.drop(1)
            continue
        if not first.strip():
            lines.drop(1)
            yield Rejected("empty_line", "no text", file, number, shown(first))
            continue
        parser = csv.reader(lines.ahead(), delimiter=delimiter, strict=True)
        try:
            cells = next(parser)
        except csv.Error as error:
            lines.drop(1)
            bad = Rejected("malformed", f"CSV: {error}", file, number, shown(first))
            if layout is None:
                check_header(bad, config)
            yield bad
            continue
        taken = parser.line_num
        if layout is None:
            layout, is_header = header_of(cells, config, file)
            if is_header:
                lines.drop(taken)
                continue
        row = row_of(cells, layout, file, number, config.max_characters, delimiter)
        if isinstance(row, Rejected) and row.reason == "wrong_field_count" and taken > 1:
            # More likely a stray quote in this line than a cell with line breaks.
            lines.drop(1)
            detail = f"CSV: a quote is open from here to line {number + taken - 1}"
            yield Rejected("malformed", detail, file, number, shown(first))
            continue
        lines.drop(taken)
        yield row


class _Lines:
    """Lines that can be looked at before they are taken."""

    def __init__(self, lines: Iterator[tuple[int, Any]], longest: int):
        self._lines = lines
        self._longest = longest
        self._waiting: deque[tuple[int, Any]] = deque()

    def more(self) -> bool:
        """Whether there is another line."""
        return bool(self._waiting) or self._fetch()

    def peek(self) -> tuple[int, Any]:
        """The next line, which stays."""
        return self._waiting[0]

    def drop(self, count: int) -> None:
        """Takes lines away."""
        for _ in range(count):
            self._waiting.popleft()

    def ahead(self) -> Iterator[str]:
        """The lines from here that may be one record: it ends before a bad or too long one."""
        characters = 0
        for place in range(MOST_LINES):
            if place == len(self._waiting) and not self._fetch():
                return
            _, line = self._waiting[place]
            if isinstance(line, Rejected):
                return
            characters += len(line)
            if place and characters > self._longest:
                return
            yield line + "\n"

    def _fetch(self) -> bool:
        for line in self._lines:
            self._waiting.append(line)
            return True
        return False
