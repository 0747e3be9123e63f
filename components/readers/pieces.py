"""Large files in pieces, so that more than one worker may read them."""

from __future__ import annotations

from typing import IO, NamedTuple

from .compression import DAMAGE, bare_name
from .files import opened
from .options import ReadingConfig

PIECE_BYTES = 1 << 23


class Piece(NamedTuple):
    """Whole lines of a file."""

    start: int  # byte
    end: int
    line: int  # the number of the first, from 1


class PieceStream:
    """The bytes of a piece, and no more.

    Args:
      stream: of the whole file.
      piece: which part of it.
    """

    def __init__(self, stream: IO[bytes], piece: Piece):
        stream.seek(piece.start)
        self._stream = stream
        self._left = piece.end - piece.start

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end.

        Raises:
          EOFError: the file has become shorter.
        """
        content = self._stream.read(min(size, self._left))
        if self._left and not content:
            raise EOFError(f"it has become shorter since it was cut: {self._left:,} bytes are gone")
        self._left -= len(content)
        return content


def pieces_of(path: str, file_format: str, config: ReadingConfig) -> list[Piece | None]:
    """The pieces of a file, in order; None, for the whole, where it is not cut.

    Cut is what is large, not packed, and has a row on each line whatever stands above it:
    a TSV of two columns.
    """
    columns = config.columns or config.extra or config.header
    if file_format != "tsv" or columns or bare_name(path) != path:
        return [None]
    pieces: list[Piece | None] = []
    start = at = 0
    line = 1
    try:
        with opened(path) as stream:
            while block := stream.read(PIECE_BYTES):
                whole = block.rfind(b"\n") + 1
                if whole:
                    pieces.append(Piece(start, at + whole, line))
                    line += block.count(b"\n")
                    start = at + whole
                at += len(block)
    except DAMAGE:
        return [None]  # whoever reads it tells what is wrong
    if start < at:
        pieces.append(Piece(start, at, line))
    return pieces if len(pieces) > 1 else [None]
