"""Two text files, line by line a source and its target, as Moses and OPUS have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import IO

from .compression import DAMAGE
from .files import lines_of, texts_of
from .options import ReadingConfig
from .rows import Rejected, Row, checked, shown, unreadable


def read_aligned(
    streams: Sequence[IO[bytes]], files: Sequence[str], config: ReadingConfig
) -> Iterator[Row]:
    """Each pair of lines gives one pair or one rejection, which names the file at fault.

    Args:
      streams: the bytes of both files, UTF-8, the source first.
      files: the names to report; a pair is told to come from the source's.
      config: how to read.

    Raises:
      PipelineError: one file has more lines than the other.
    """
    longest = config.longest_line
    sides = [
        texts_of(_lines_of(stream, file, longest), file, longest)
        for stream, file in zip(streams, files, strict=True)
    ]
    lengths = [0, 0]
    for pair in zip_longest(*sides):
        for side, line in enumerate(pair):
            lengths[side] += line is not None
        if None in pair:
            continue
        (number, source), (_, target) = pair
        bad = next((text for text in (source, target) if isinstance(text, Rejected)), None)
        if bad:
            yield bad
        elif not source.strip() and not target.strip():
            yield Rejected("empty_line", "no text on either side", files[0], number, "")
        else:
            stray = next((s for s in range(2) if "\r" in (source, target)[s]), None)
            if stray is None:
                yield checked(source, target, files[0], number, config.max_characters)
            else:
                detail = "expected lines that end in LF"
                text = shown(source, target)
                yield Rejected("carriage_return", detail, files[stray], number, text)
    if lengths[0] != lengths[1]:
        raise unreadable(
            files[0],
            f"aligned files have as many lines as each other, and this one has {lengths[0]:,} "
            f"and {files[1]} {lengths[1]:,}",
        )


def _lines_of(stream: IO[bytes], file: str, longest: int) -> Iterator[bytes]:
    """Lines, and where they end by a damage an error that names this file of the two."""
    number = 0
    try:
        for number, line in enumerate(lines_of(stream, longest), start=1):  # noqa: B007
            yield line
    except DAMAGE as error:
        raise unreadable(file, f"after {number:,} lines: {error}") from error
