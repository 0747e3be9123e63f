"""Reading text pairs from files: every line becomes a pair or a rejected row.

Plain functions over bytes, so that they can be tested and shipped to workers
without the pipeline around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SHOWN_CHARACTERS = 200  # of a rejected line, for whoever looks for it


class Pair(NamedTuple):
    """A pair that was kept, and where it came from."""

    source: str
    target: str
    file: str
    line: int


class Rejected(NamedTuple):
    """A line that was not kept, why, and where it is."""

    reason: str
    detail: str
    file: str
    line: int
    text: str  # its beginning, undecodable bytes as escapes


def read_tsv(lines: Iterable[bytes], file: str, max_characters: int) -> Iterator[Pair | Rejected]:
    r"""Reads `source TAB target` lines; each gives exactly one pair or one rejection.

    Args:
      lines: the file's lines as bytes, with or without their ends ("\n", "\r\n").
      file: the name to report.
      max_characters: the longest side that is kept.
    """
    for number, line in enumerate(lines, start=1):
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        line = line.rstrip(b"\r\n")
        fields, problem = _parse(line, max_characters)
        if problem:
            shown = line[: 4 * SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
            yield Rejected(*problem, file, number, shown[:SHOWN_CHARACTERS])
        else:
            source, target = fields
            yield Pair(source, target, file, number)


def _parse(line: bytes, max_characters: int) -> tuple[list[str], tuple[str, str] | None]:
    """The two sides of a line, or the reason and detail of its rejection."""
    if b"\0" in line:
        return [], ("nul_byte", f"at byte {line.index(0) + 1}")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return [], ("invalid_utf8", f"at byte {error.start + 1}")
    if not text.strip():
        return [], ("empty_line", "no text")
    fields = [field.strip() for field in text.split("\t")]
    if len(fields) != 2:
        return [], ("wrong_field_count", f"expected 2 tab-separated fields, found {len(fields)}")
    for side, field in zip(("source", "target"), fields, strict=True):
        if not field:
            return [], (f"empty_{side}", "no text")
        if len(field) > max_characters:
            return [], (f"long_{side}", f"{len(field)} characters, the limit is {max_characters}")
    return fields, None


def lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a binary stream that may know no more than `read`."""
    rest = b""
    while block := stream.read(1 << 20):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest
