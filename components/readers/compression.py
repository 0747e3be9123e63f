"""What files are packed with: gzip, bzip2, xz, zstandard. By the ending of a file's name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

import zstandard

BUFFER = 1 << 20
# What a stream of bytes may raise when the file, or what packs it, is damaged.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _Zstandard(io.RawIOBase):
    """Reads zstandard frames; unlike the library's own stream it knows a truncated one."""

    def __init__(self, raw: IO[bytes]):
        self._raw = raw
        self._frame: Any = None
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting:
            # A small piece, for it may be a hundred thousand times as large unpacked.
            packed = self._raw.read(1024)
            if not packed:
                if self._frame is not None:
                    raise EOFError("Compressed file ended before the end of its last frame")
                return 0
            self._waiting = b"".join(self._unpacked(packed))
        taken = self._waiting[: len(buffer)]
        self._waiting = self._waiting[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _unpacked(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            yield self._frame.decompress(packed)
            packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None


DECOMPRESSORS: dict[str, Any] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": lambda raw: io.BufferedReader(_Zstandard(raw), BUFFER),
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
