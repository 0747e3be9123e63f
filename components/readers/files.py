"""Files as streams: on any of Beam's filesystems, compressed or not, line by line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any

import zstandard
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from .rows import Rejected, shown, unreadable

BLOCK = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What a stream of bytes may raise when the file, or what packs it, is damaged.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Opens a file, decompressed if its name ends in .gz, .bz2, .xz or .zst.

    Beam would decompress by itself, and take a truncated file for a whole one.
    """
    unpack = DECOMPRESSORS.get(os.path.splitext(path)[1].lower())
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as raw:
        if unpack is None:
            yield raw
        else:
            with unpack(raw) as stream:
                yield stream


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
    ".zst": lambda raw: io.BufferedReader(_Zstandard(raw), BLOCK),
}


def bare_name(path: str) -> str:
    """A path without the ending that its compression added."""
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in DECOMPRESSORS else path


def lines_of(stream: IO[bytes], longest: int) -> Iterator[bytes]:
    r"""The lines of a binary stream that may know no more than `read`, without "\n".

    Of a line of more than `longest` bytes come the first `longest` + 1, and no
    more than those are ever held.
    """
    return chain.from_iterable(blocks_of(stream, longest))


def blocks_of(stream: IO[bytes], longest: int) -> Iterator[list[bytes]]:
    """What `lines_of` gives, as many lines at a time as were read."""
    rest = b""
    while block := stream.read(BLOCK):
        lines = block.split(b"\n")
        lines[0] = (rest + lines[0])[: longest + 1]
        rest = lines.pop()[: longest + 1]
        yield lines
    if rest:
        yield [rest]


def plain_texts(lines: list[bytes], longest: int) -> list[str] | None:
    """Lines decoded at once; None where one of them needs a closer look."""
    whole = b"\n".join(lines)
    if (
        b"\r" in whole
        or b"\0" in whole
        or (len(whole) > longest and max(map(len, lines)) > longest)
    ):
        return None
    try:
        return whole.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None


def texts_of(
    lines: Iterable[bytes], file: str, longest: int, first: int = 1
) -> Iterator[tuple[int, Any]]:
    """Numbers lines and decodes them: each a string without its end, or a rejection."""
    for number, line in enumerate(lines, start=first):
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        line = line.rstrip(b"\r\n")
        if len(line) > longest:
            problem = ("long_line", f"more than {longest:,} bytes")
        elif b"\0" in line:
            problem = ("nul_byte", f"at byte {line.index(0) + 1}")
        else:
            try:
                yield number, line.decode("utf-8")
                continue
            except UnicodeDecodeError as error:
                problem = ("invalid_utf8", f"at byte {error.start + 1}")
        yield number, Rejected(*problem, file, number, shown(line))


@contextmanager
def local_copy(stream: IO[bytes], file: str, limit: int) -> Iterator[str]:
    """The path of a copy, for a library that reads only whole local files.

    Raises:
      PipelineError: there are more than `limit` bytes.
    """
    with tempfile.NamedTemporaryFile() as copy:
        size = 0
        while block := stream.read(BLOCK):
            size += len(block)
            if size > limit:
                raise unreadable(file, f"it has more than {limit:,} bytes")
            copy.write(block)
        copy.flush()
        yield copy.name
