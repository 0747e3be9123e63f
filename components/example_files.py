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
    return example_of({name: values_of(several) for name, several in texts.items()})


def values_of(texts: Sequence[str]) -> bytes:
    """The bytes of the values of a feature, as `example_of` takes them."""
    return b"".join([_field(text.encode()) for text in texts])


def example_of(features: Mapping[str, bytes]) -> bytes:
    """The bytes of a tf.Example whose features have the values of `values_of`."""
    entries: list[bytes] = []
    for name in sorted(features):
        values = features[name]
        entries += (_before(name, len(values)), values)
    return _field(b"".join(entries))


@lru_cache(maxsize=1 << 16)
def _before(name: str, size: int) -> bytes:
    """What stands in an Example before so many bytes of values of a feature."""
    feature = b"".join((b"\n", _length(size)))  # its bytes_list
    key = _field(name.encode())
    entry = b"".join((key, b"\x12", _length(len(feature) + size), feature))
    return b"".join((b"\n", _length(len(entry) + size), entry))


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
    packer = RecordPacker()
    with closing(create(path)) as file:
        for start in range(0, len(records), 1024):
            file.write(packer.pack(records[start : start + 1024]))
        file.write(packer.end())


class RecordPacker:
    """The bytes of a gzipped TFRecord file, some records at a time."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)

    def pack(self, records: Sequence[bytes]) -> bytes:
        """What there is to be written once these records are in."""
        return self._packer.compress(b"".join(map(_framed, records)))

    def end(self) -> bytes:
        """What there is to be written last."""
        return self._packer.flush()


def _framed(record: bytes) -> bytes:
    return b"".join((_record_head(len(record)), record, masked(record)))


@lru_cache(maxsize=1 << 14)
def _record_head(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + masked(length)
