"""Reads files as ingestion does, for the tests of all readers."""

import bz2
import gzip
import lzma

import zstandard

from seq2seq_tfx.components.readers.options import ReadingConfig
from seq2seq_tfx.components.readers.registry import InputFile, format_of, read_pairs
from seq2seq_tfx.components.readers.rows import Pair

PACKERS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def read(*paths, **config):
    """The rows of a file (or of two aligned ones), by the format its name tells."""
    config = ReadingConfig(**config)
    file_format = config.format if config.format != "auto" else format_of(str(paths[0]))
    return list(read_pairs(InputFile(tuple(map(str, paths)), file_format), config))


def read_bytes(folder, name, data, **config):
    """The rows of a file that is written first."""
    path = folder / name
    path.write_bytes(data)
    return read(path, **config)


def told(rows):
    """Of each row its sides or its reason, and its line."""
    return [
        (row.source, row.target, row.line) if isinstance(row, Pair) else (row.reason, row.line)
        for row in rows
    ]


def extras(rows):
    return [dict(row.extra) for row in rows]
