"""Data laid aside in files by shard, so that only the files' names cross a shuffle.

A runner in one process keeps all that crosses a shuffle in memory. What is large is
written to a folder instead, a file for each shard and bundle, and read again shard by
shard. A bundle that fails leaves files that nobody names.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import IO, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

# Rows that are collected before they are written, and characters, whichever comes first.
MOST_ROWS = 1 << 15
MOST_CHARACTERS = 1 << 24


class Aside:
    """The files of one bundle.

    Args:
      folder: of all bundles.
    """

    def __init__(self, folder: str):
        self._stem = FileSystems.join(folder, uuid4().hex)
        self._files: dict[Any, tuple[str, IO[bytes]]] = {}

    def file(self, shard: Any) -> IO[bytes]:
        """The file of a shard, to write to."""
        if shard not in self._files:
            path = f"{self._stem}-{len(self._files)}"
            self._files[shard] = path, create(path)
        return self._files[shard][1]

    def close(self) -> list[tuple[Any, str]]:
        """Closes the files, and names each with its shard."""
        for _, file in self._files.values():
            file.close()
        return [(shard, path) for shard, (path, _) in self._files.items()]


class RowsAside:
    """Rows of one kind laid aside as Arrow record batches.

    Args:
      aside: the files.
      schema: of the rows; they are written as tuples in its order.
      parts: how many shards; a row is in that of its text `by`.
      by: the name of a column of text, or None where all go to one shard.
      name: of these shards; each is (name, number).
    """

    def __init__(
        self, aside: Aside, schema: pa.Schema, parts: int = 1, by: str = "", name: str = ""
    ):
        self._aside = aside
        self._schema = schema
        self._parts = parts
        self._by = schema.names.index(by) if by else -1
        self._name = name
        self._writers: dict[int, Any] = {}
        self._waiting: list[tuple[Any, ...]] = []
        self._characters = 0

    def add(self, rows: Sequence[tuple[Any, ...]], characters: int) -> None:
        """Writes rows of so many characters, now or later."""
        self._waiting += rows
        self._characters += characters
        if len(self._waiting) >= MOST_ROWS or self._characters >= MOST_CHARACTERS:
            self._write()

    def close(self) -> None:
        """Writes what waits; the files are closed by whoever has them."""
        self._write()
        for writer in self._writers.values():
            writer.close()

    def _write(self) -> None:
        if not self._waiting:
            return
        columns = list(zip(*self._waiting, strict=True))
        arrays = [pa.array(c, field.type) for c, field in zip(columns, self._schema, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        if self._parts == 1:
            self._writer(0).write_batch(batch)
        else:
            parts = np.array([part_of(text, self._parts) for text in columns[self._by]])
            for part in np.unique(parts):
                places = pa.array(np.flatnonzero(parts == part))
                taken = [column.take(places) for column in batch.columns]
                chosen = pa.RecordBatch.from_arrays(taken, schema=self._schema)
                self._writer(int(part)).write_batch(chosen)
        self._waiting, self._characters = [], 0

    def _writer(self, part: int) -> Any:
        if part not in self._writers:
            file = self._aside.file((self._name, part))
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writers[part] = pa.ipc.new_stream(file, self._schema, options=options)
        return self._writers[part]


def part_of(text: str, parts: int) -> int:
    """The part that a text belongs to, the same on every machine."""
    return zlib.crc32(text.encode()) % parts


def by_shard(rows: np.ndarray, shards: int) -> Iterator[tuple[int, np.ndarray]]:
    """Rows by the shard that their `key` belongs to, each with those that it has."""
    shard = (rows["key"] % np.uint64(shards)).astype(np.int64)
    rows = rows[np.argsort(shard, kind="stable")]
    ends = np.cumsum(np.bincount(shard, minlength=shards))
    for number, some in enumerate(np.split(rows, ends[:-1])):
        if len(some):
            yield number, some


def batches_aside(path: str) -> Iterator[pa.RecordBatch]:
    """What `RowsAside` wrote to a file."""
    with closing(opened_plain(path)) as file, pa.ipc.open_stream(file) as batches:
        yield from batches


def bytes_aside(paths: Sequence[str]) -> bytes:
    """The content of files, one after another."""
    content = []
    for path in paths:
        with closing(opened_plain(path)) as file:
            content.append(file.read())
    return b"".join(content)


def create(path: str) -> IO[bytes]:
    """A new file on any filesystem that Beam knows, written as it is."""
    return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def opened_plain(path: str) -> IO[bytes]:
    """A file on any filesystem that Beam knows, read as it is."""
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def join_files(paths: Iterable[str], whole: str) -> None:
    """Copies files into one, in order of their names."""
    with closing(create(whole)) as file:
        for path in sorted(paths):
            with closing(opened_plain(path)) as part:
                while block := part.read(1 << 20):
                    file.write(block)
