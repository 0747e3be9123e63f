"""Tab-separated lines: `source TAB target`, or columns of a wider table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

from .files import BYTE_ORDER_MARK, blocks_of, lines_of, plain_texts, texts_of
from .options import ReadingConfig
from .rows import Pair, Rejected, Row, shown
from .tables import Layout, check_header, header_of, row_of


def read_tsv(stream: IO[bytes], file: str, config: ReadingConfig, first: int = 1) -> Iterator[Row]:
    """Each line gives exactly one pair or one rejection; there is no quoting.

    Args:
      stream: the file's bytes, UTF-8.
      file: the name to report.
      config: how to read.
      first: the number of the first line; of a table with columns there is no other.
    """
    delimiter = config.delimiter or "\t"
    if config.columns or config.extra or config.header:
        lines = texts_of(lines_of(stream, config.longest_line), file, config.longest_line)
        yield from rows_of_lines(lines, None, file, config, delimiter)
    else:
        yield from _pairs(stream, file, config, delimiter, first)


def rows_of_lines(
    lines: Iterable[tuple[int, Any]],
    layout: Layout | None,
    file: str,
    config: ReadingConfig,
    delimiter: str,
) -> Iterator[Row]:
    """What numbered lines give; without a layout the first of them tells it."""
    for number, line in lines:
        if isinstance(line, Rejected):
            if layout is None:
                check_header(line, config)
            yield line
        elif not line.strip():
            yield Rejected("empty_line", "no text", file, number, shown(line))
        elif "\r" in line:
            detail = f"at character {line.index(chr(13)) + 1}: expected lines that end in LF"
            row = Rejected("carriage_return", detail, file, number, shown(line))
            if layout is None:
                check_header(row, config)
            yield row
        else:
            cells = line.split(delimiter)
            if layout is None:
                layout, is_header = header_of(cells, config, file)
                if is_header:
                    continue
            yield row_of(cells, layout, file, number, config.max_characters, delimiter)


def _pairs(
    stream: IO[bytes], file: str, config: ReadingConfig, delimiter: str, first: int
) -> Iterator[Row]:
    """Lines of two columns: those without a fault, as most are, are told in few steps."""
    layout = Layout.plain()
    most, longest = config.max_characters, config.longest_line
    for lines in blocks_of(stream, longest):
        if first == 1 and lines:
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        texts = plain_texts(lines, longest) if lines else []
        if texts is None:
            looked_at = texts_of(lines, file, longest, first)
            yield from rows_of_lines(looked_at, layout, file, config, delimiter)
        else:
            for number, text in enumerate(texts, first):
                cells = text.split(delimiter)
                if len(cells) == 2:
                    source, target = cells[0].strip(), cells[1].strip()
                    if source and target and len(source) <= most and len(target) <= most:
                        yield Pair(source, target, file, number)
                        continue
                yield from rows_of_lines([(number, text)], layout, file, config, delimiter)
        first += len(lines)
