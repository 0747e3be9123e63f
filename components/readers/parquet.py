"""Parquet: columns of text, or fields of nested ones at dotted paths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from .options import Column, ColumnsConfig, ReadingConfig
from .records import rows_of
from .rows import Rejected, Row, shown, unreadable

# Before 14.0.1, pyarrow unpickles what a file may hold (CVE-2023-47248).
with suppress(ImportError):
    import pyarrow_hotfix  # noqa: F401

BATCH = 1024


def read_parquet(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each row gives one pair or one rejection; a list of targets, one for each of them.

    Args:
      stream: the file's bytes, seekable.
      file: the name to report.
      config: how to read.

    Raises:
      PipelineError: it is no Parquet, or a side is no column of text.
    """
    columns = config.columns or ColumnsConfig()
    number = 0
    try:
        table = pq.ParquetFile(stream)
        schema = table.schema_arrow
        for side, column in (("source", columns.source), ("target", columns.target)):
            found = _type_at(schema, column, file)
            if not _is_text(found, side):
                raise unreadable(file, f"column '{column}': expected text, found {found}")
        top = sorted({_top(schema, column, file) for column in _columns(columns, config)})
        for batch in table.iter_batches(batch_size=BATCH, columns=top):
            for record in _records(batch):
                number += 1
                if isinstance(record, UnicodeDecodeError):
                    detail = f"at byte {record.start + 1}"
                    yield Rejected("invalid_utf8", detail, file, number, shown(record.object))
                else:
                    yield from rows_of(record, file, number, config)
    # What pyarrow raises of a damaged file is of many kinds.
    except (pa.ArrowException, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        raise unreadable(file, f"after {number:,} rows: {error}") from error


def _records(batch: pa.RecordBatch) -> Iterator[Any]:
    """The rows of a batch as dictionaries, or the error of one that is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for place in range(batch.num_rows):
            try:
                yield from batch.slice(place, 1).to_pylist()
            except UnicodeDecodeError as error:
                yield error


def _columns(columns: ColumnsConfig, config: ReadingConfig) -> list[Column]:
    return [columns.source, columns.target, *config.extra.values()]


def _top(schema: pa.Schema, column: Column, file: str) -> str:
    """The top-level column that a path begins with."""
    path = str(column)
    for name in (path, path.partition(".")[0]):
        if name in schema.names:
            return name
    raise unreadable(file, f"no column '{column}', only {', '.join(schema.names) or 'none'}")


def _type_at(schema: pa.Schema, column: Column, file: str) -> Any:
    name = _top(schema, column, file)
    found = schema.field(name).type
    rest = str(column)[len(name) + 1 :]
    for step in rest.split(".") if rest else ():
        if pa.types.is_struct(found) and found.get_field_index(step) >= 0:
            found = found[found.get_field_index(step)].type
        elif pa.types.is_list(found) and step.isdecimal():
            found = found.value_type
        else:
            raise unreadable(file, f"no field '{step}' on the way to '{column}' in {found}")
    return found


def _is_text(found: Any, side: str) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    if side == "target" and (pa.types.is_list(found) or pa.types.is_large_list(found)):
        found = found.value_type
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
