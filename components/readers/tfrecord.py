"""TFRecords of tf.Examples: features of bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

import google_crc32c

from .extras import ABSENT, Extras
from .options import ColumnsConfig, ReadingConfig
from .rows import Rejected, Row, checked, shown, unreadable

LONGEST_RECORD = 1 << 26


def read_tfrecord(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each record gives one pair or one rejection; several targets, one for each of them.

    Args:
      stream: the file's bytes.
      file: the name to report.
      config: how to read.

    Raises:
      PipelineError: it is damaged, or no TFRecord file, or no record has a column of `extra`.
    """
    import tensorflow as tf  # for the proto alone, and seconds to import
    from google.protobuf.message import DecodeError

    columns = config.columns or ColumnsConfig()
    extras = Extras(config, file)
    for number, record in enumerate(records_of(stream, file), start=1):
        try:
            example = tf.train.Example.FromString(record)
        except DecodeError:
            detail = "expected a serialized tf.Example"
            yield Rejected("malformed", detail, file, number, shown(record))
            continue
        feature = example.features.feature
        sources = _values(feature, columns.source)
        extra = extras.of(partial(_first, feature))
        if len(sources) > 1:
            detail = f"expected one value of '{columns.source}', found {len(sources):,}"
            text = shown(*(s for s in sources[:9] if isinstance(s, str)))
            yield Rejected("several_sources", detail, file, number, text)
            continue
        for target in _values(feature, columns.target):
            sides = sources[0], target
            bad = next((side for side in sides if isinstance(side, UnicodeDecodeError)), None)
            if bad:
                detail = f"at byte {bad.start + 1}"
                yield Rejected("invalid_utf8", detail, file, number, shown(bad.object))
            else:
                yield checked(*sides, file, number, config.max_characters, extra)
    extras.check()


def records_of(stream: IO[bytes], file: str) -> Iterator[bytes]:
    """The records of a TFRecord file: length, its checksum, data, its checksum."""
    number = 0
    while head := _exactly(stream, 12, file, number):
        (length,) = struct.unpack("<Q", head[:8])
        if masked(head[:8]) != head[8:]:
            raise unreadable(file, f"after {number:,} records: expected a TFRecord's length")
        if length > LONGEST_RECORD:
            problem = f"after {number:,} records: one of {length:,} bytes"
            raise unreadable(file, f"{problem}, at most {LONGEST_RECORD:,} are read")
        body = _exactly(stream, length + 4, file, number)
        if len(body) != length + 4 or masked(body[:length]) != body[length:]:
            raise unreadable(file, f"record {number + 1:,} is damaged")
        number += 1
        yield body[:length]


def _exactly(stream: IO[bytes], size: int, file: str, number: int) -> bytes:
    """So many bytes, or none at the end of the file."""
    data = stream.read(size)
    while data and len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise unreadable(file, f"it ends within record {number + 1:,}")
        data += more
    return data


def masked(data: bytes) -> bytes:
    """The checksum that TFRecords carry."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _values(feature: Any, column: Any) -> list[Any]:
    """The strings of a feature, an error in the place of what is none; [None] for nothing."""
    name = str(column)
    if name not in feature:
        return [None]
    kind = feature[name].WhichOneof("kind")
    if kind != "bytes_list":
        return [list(getattr(feature[name], kind).value)] if kind else [None]
    values: list[Any] = []
    for value in feature[name].bytes_list.value:
        try:
            values.append(value.decode())
        except UnicodeDecodeError as error:
            values.append(error)
    return values or [None]


def _first(feature: Any, column: Any) -> Any:
    """The first value of a feature, for a column that travels along."""
    if str(column) not in feature:
        return ABSENT
    value = _values(feature, column)[0]
    if isinstance(value, list):
        value = value[0] if value else None
    return None if isinstance(value, UnicodeDecodeError) else value
