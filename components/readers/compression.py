"""What files are packed with: gzip, bzip2, xz, zstandard. By the ending of a file's name."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

import zstandard

BUFFER = 1 << 20
GZIP = 31  # what zlib calls its format, with the largest window
# What a stream of bytes may raise when the file, or what packs it, is damaged.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _Streams(io.RawIOBase):
    """Reads compressed streams, one after another; what is damaged or cut in any is an error.

    Python's own readers of bzip2 and xz take a damaged stream after the first for no part
    of the file, that of gzip an empty file for a whole one, and zstandard's does not know a
    truncated frame.

    Args:
      raw: the packed bytes.
      decompressor: makes one that unpacks a single stream.
      padding: a byte that may stand between streams and after the last.
    """

    def __init__(self, raw: IO[bytes], decompressor: Callable[[], Any], padding: bytes = b""):
        self._raw = raw
        self._new = decompressor
        self._padding = padding
        self._stream = decompressor()  # None between streams
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting:
            # A small piece, for it may be a hundred thousand times as large unpacked.
            packed = self._raw.read(1024)
            if not packed:
                if self._stream is not None:
                    raise EOFError("Compressed file ended before the end of its last stream")
                return 0
            self._waiting = b"".join(self._unpacked(packed))
        taken = self._waiting[: len(buffer)]
        self._waiting = self._waiting[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _unpacked(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._stream is None:
                packed = packed.lstrip(self._padding)
                if not packed:
                    return
                self._stream = self._new()
            yield self._stream.decompress(packed)
            packed = self._stream.unused_data if self._stream.eof else b""
            if self._stream.eof:
                self._stream = None


def _streams(decompressor: Callable[[], Any], padding: bytes = b"") -> Callable[[IO[bytes]], Any]:
    return lambda raw: io.BufferedReader(_Streams(raw, decompressor, padding), BUFFER)


DECOMPRESSORS: dict[str, Any] = {
    ".gz": _streams(lambda: zlib.decompressobj(GZIP), padding=b"\0"),
    ".bz2": _streams(bz2.BZ2Decompressor),
    ".xz": _streams(lzma.LZMADecompressor, padding=b"\0"),
    ".zst": _streams(lambda: zstandard.ZstdDecompressor().decompressobj()),
}


def bare_name(path: str) -> str:
    """A path without the ending that its compression added."""
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in DECOMPRESSORS else path


def unpacked(raw: IO[bytes], path: str) -> AbstractContextManager[IO[bytes]]:
    """What is in an open file; as it stands if its name has none of the endings.

    Args:
      raw: the file.
      path: its name.
    """
    unpack = DECOMPRESSORS.get(os.path.splitext(path)[1].lower())
    return nullcontext(raw) if unpack is None else unpack(raw)
