"""Examples of text in TFRecord files, written and read in batches without TensorFlow.

tf.Example's own classes and Beam's sink take longer over a pair than all else that
ingestion does with it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import lru_cache

from .aside import create
from .readers.tfrecord import masked

LEVEL = 1  # of gzip: these files are read a few times, and then thrown away
GZIP = 31  # the window of zlib, with gzip's header


def encode_example(texts: Mapping[str, Sequence[str]]) -> bytes:
    """The bytes of a tf.Example whose features are lists of text, keys in order."""
    entries = []
    for name in sorted(texts):
        values = b"".join([_field(text.encode()) for text in texts[name]])
        feature = _field(values)  # its bytes_list
        key = _field(name.encode())
        entries.append(_field(b"".join((key, b"\x12", _length(len(feature)), feature))))
    return _field(b"".join(entries))


def _field(content: bytes) -> bytes:
    """Field 1 of a protocol buffer, length-delimited: its tag, a varint and the content."""
    return b"".join((b"\n", _length(len(content)), content))


@lru_cache(maxsize=1 << 14)
def _length(length: int) -> bytes:
    varint = bytearray()
    while length > 127:
        varint.append(length & 127 | 128)
        length >>= 7
    varint.append(length)
    return bytes(varint)


def write_tfrecord(path: str, records: Sequence[bytes]) -> None:
    """Writes a gzipped TFRecord file, on any filesystem that Beam knows."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    with closing(create(path)) as file:
        for start in range(0, len(records), 1024):
            framed = b"".join(map(_framed, records[start : start + 1024]))
            file.write(packer.compress(framed))
        file.write(packer.flush())


def _framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return b"".join((length, masked(length), record, masked(record)))
