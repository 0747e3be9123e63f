"""Parquet: columns of text, or fields of nested ones at dotted paths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .extras import Extras
from .files import local_copy
from .options import Column, ColumnsConfig, ReadingConfig
from .records import rows_of
from .rows import Rejected, Row, shown, unreadable

# Before 14.0.1, pyarrow unpickles what a file may hold (CVE-2023-47248).
with suppress(ImportError):
    import pyarrow_hotfix  # noqa: F401

BATCH = 1024
LARGEST_ROW = 1 << 27  # bytes of text, of which a dictionary may hold one value for many rows
LARGEST_COPY = 1 << 34  # bytes
BYTES = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
)  # fmt: skip

LISTS = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
COLUMNS = "data.columns"


def read_parquet(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each row gives one pair or one rejection; a list of targets, one for each of them.

    Args:
      stream: the file's bytes; what cannot seek is copied to this machine first.
      file: the name to report.
      config: how to read.

    Raises:
      PipelineError: it is no Parquet, or a side is no column of text.
    """
    if not stream.seekable():  # unpacked as it is read
        with local_copy(stream, file, LARGEST_COPY) as copy, open(copy, "rb") as whole:
            yield from read_parquet(whole, file, config)
        return
    columns = config.columns or ColumnsConfig()
    extras = Extras(config, file)  # a column is there or it is not, whatever rows have in it
    number = 0
    try:
        table = pq.ParquetFile(stream)
        schema = table.schema_arrow
        for side, column in (("source", columns.source), ("target", columns.target)):
            found = _type_at(schema, column, file)
            if not _is_text(found, side):
                raise unreadable(file, f"column '{column}': expected text, found {found}")
        sides = {_top(schema, column, file) for column in (columns.source, columns.target)}
        for column in config.extra.values():
            _type_at(schema, column, file, "data.extra")
        along = {_top(schema, column, file) for column in config.extra.values()}
        top = sorted(sides | along)
        # A value of a dictionary is there once, however many rows have it.
        texts = [
            leaf.path
            for leaf in map(table.schema.column, range(len(table.schema)))
            if leaf.physical_type == "BYTE_ARRAY" and leaf.path.partition(".")[0] in top
        ]
        table = pq.ParquetFile(stream, metadata=table.metadata, read_dictionary=texts)
        for batch in table.iter_batches(batch_size=BATCH, columns=top):
            for record in _records(batch):
                number += 1
                if record is None:
                    detail = f"more than {LARGEST_ROW:,} bytes"
                    yield Rejected("long_row", detail, file, number, "")
                elif isinstance(record, UnicodeDecodeError):
                    detail = f"at byte {record.start + 1}"
                    yield Rejected("invalid_utf8", detail, file, number, shown(record.object))
                else:
                    yield from rows_of(record, file, number, config, extras)
    # What pyarrow raises of a damaged file is of many kinds.
    except (pa.ArrowException, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        raise unreadable(file, f"after {number:,} rows: {error}") from error


def _records(batch: pa.RecordBatch) -> Iterator[Any]:
    """The rows of a batch as dictionaries, the error of one that is not UTF-8, None if too large.

    No more are made at a time than have `LARGEST_ROW` bytes together.
    """
    sizes = sum(map(_sizes, batch.columns))
    start = 0
    while start < batch.num_rows:
        fit = int(np.searchsorted(np.cumsum(sizes[start:]), LARGEST_ROW, side="right"))
        if fit:
            yield from _decoded(batch.slice(start, fit))
        else:
            yield None
        start += max(1, fit)


def _decoded(batch: pa.RecordBatch) -> Iterator[Any]:
    try:
        yield from _as_dictionaries(batch)
    except UnicodeDecodeError:
        for place in range(batch.num_rows):
            try:
                yield from _as_dictionaries(batch.slice(place, 1))
            except UnicodeDecodeError as error:
                yield error


def _as_dictionaries(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    plain = [
        column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        for column in batch.columns
    ]
    values = [column.to_pylist() for column in plain]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*values, strict=True)]


def _sizes(array: pa.Array) -> Any:
    """How many bytes the text of each row has, however it is held: int64 [rows]."""
    kind = array.type
    if isinstance(array, pa.DictionaryArray):
        inner = _sizes(array.dictionary)
        places = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return inner[places] if len(inner) else np.zeros(len(array), np.int64)
    if isinstance(array, pa.StructArray):
        inner = [_sizes(array.field(place)) for place in range(kind.num_fields)]
        return sum(inner, np.zeros(len(array), np.int64))
    if isinstance(array, pa.FixedSizeListArray):
        size = kind.list_size
        values = array.values[array.offset * size : (array.offset + len(array)) * size]
        return _sizes(values).reshape(len(array), size).sum(axis=1)
    if isinstance(array, pa.ListArray | pa.LargeListArray):
        sums = np.r_[0, np.cumsum(_sizes(array.values))]
        return np.diff(sums[array.offsets.to_numpy()])
    if any(is_kind(kind) for is_kind in BYTES):
        return pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.full(len(array), 8)


def _top(schema: pa.Schema, column: Column, file: str, key: str = COLUMNS) -> str:
    """The top-level column that a path begins with."""
    path = str(column)
    for name in (path, path.partition(".")[0]):
        if name in schema.names:
            return name
    raise unreadable(file, f"{key}: no column '{column}', only {', '.join(schema.names) or 'none'}")


def _type_at(schema: pa.Schema, column: Column, file: str, key: str = COLUMNS) -> Any:
    name = _top(schema, column, file, key)
    found = schema.field(name).type
    rest = str(column)[len(name) + 1 :]
    for step in rest.split(".") if rest else ():
        if pa.types.is_struct(found) and found.get_field_index(step) >= 0:
            found = found[found.get_field_index(step)].type
        elif any(is_kind(found) for is_kind in LISTS) and step.isdecimal():
            found = found.value_type
        else:
            raise unreadable(file, f"{key}: no field '{step}' on the way to '{column}' in {found}")
    return found


def _is_text(found: Any, side: str) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    if side == "target" and any(is_kind(found) for is_kind in LISTS):
        found = found.value_type
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
