"""Values in nested records: what JSON Lines and Parquet have in common."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from .extras import ABSENT, Extras
from .options import ColumnsConfig, ReadingConfig
from .rows import Row, checked


def value_at(record: Any, path: str | int, absent: Any = None) -> Any:
    """The value at a dotted path, such as `translation.en` or `turns.0.text`.

    A key that has dots itself is found, too. A number from 1 is an item of a list.
    """
    if isinstance(path, int):
        return record[path - 1] if isinstance(record, list) and path <= len(record) else absent
    if isinstance(record, dict) and path in record:
        return record[path]
    step, _, rest = path.partition(".")
    if isinstance(record, dict) and step in record:
        inner = record[step]
    elif isinstance(record, list) and step.isdecimal() and int(step) < len(record):
        inner = record[int(step)]
    else:
        return absent
    return value_at(inner, rest, absent) if rest else inner


def rows_of(
    record: Any, file: str, number: int, config: ReadingConfig, extras: Extras
) -> Iterator[Row]:
    """The pair in a record, or its rejection; a list of targets gives a row for each."""
    columns = config.columns or ColumnsConfig()
    source, target = value_at(record, columns.source), value_at(record, columns.target)
    extra = extras.of(partial(value_at, record, absent=ABSENT))
    targets = target if isinstance(target, list) and target else [target]
    for reference in targets:
        yield checked(source, reference, file, number, config.max_characters, extra)
