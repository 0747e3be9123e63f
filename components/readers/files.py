"""Files as streams: on any of Beam's filesystems, compressed or not, line by line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from .compression import unpacked
from .rows import Rejected, shown, unreadable

BLOCK = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Opens a file, decompressed if its name ends in .gz, .bz2, .xz or .zst.

    Beam would decompress by itself, and take a truncated file for a whole one.

    Raises:
      OSError: it cannot be opened, or would never end.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError("expected a file, found a pipe, a socket or a device")
    with (
        FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as raw,
        unpacked(raw, path) as stream,
    ):
        yield stream


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
