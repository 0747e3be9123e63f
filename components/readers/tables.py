"""Which cells of a table are the sides: by number, or by the names in its header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...models import features
from .options import Column, ReadingConfig
from .rows import Rejected, Row, checked, shown, unreadable

NAMES = {"\t": "tab-separated", ",": "comma-separated", ";": "semicolon-separated"}


class Layout(NamedTuple):
    """The places of a table's columns, from 0."""

    source: int
    target: int
    extra: tuple[tuple[str, int], ...]
    fields: int | None  # how many there are in each row; None: as many as are needed
    needed: int  # at least so many

    @classmethod
    def of(
        cls, source: int, target: int, extra: tuple[tuple[str, int], ...], fields: int | None
    ) -> Layout:
        """Columns at some places."""
        needed = max(source, target, *(place for _, place in extra)) + 1
        return cls(source, target, extra, fields, needed)

    @classmethod
    def plain(cls) -> Layout:
        """Source and target, and nothing else."""
        return cls.of(0, 1, (), 2)


def header_of(cells: Sequence[str], config: ReadingConfig, file: str) -> tuple[Layout, bool]:
    """The layout of a table by its first row, and whether that is a header.

    Raises:
      PipelineError: the header lacks a column that was asked for, or has two of its name.
    """
    names = [cell.strip() for cell in cells]
    columns = config.columns
    asked = _asked(config)
    named = any(isinstance(column, str) for column in asked)
    source: Column = columns.source if columns else 1
    target: Column = columns.target if columns else 2
    is_header = config.header
    if columns is None and config.header is not False:
        # Nobody said where the sides are: a header may.
        lowered = [name.lower() for name in names]
        if features.SOURCE in lowered and features.TARGET in lowered:
            source = lowered.index(features.SOURCE) + 1
            target = lowered.index(features.TARGET) + 1
            is_header = True
    if is_header is None:
        is_header = named
    if named and not is_header:
        raise unreadable(file, "data.columns: names need a header; without one, give numbers")

    def place(column: Column, key: str = "data.columns") -> int:
        if isinstance(column, int):
            return column - 1
        if column not in names:
            raise unreadable(
                file, f"{key}: no column '{column}' in the header: {', '.join(names)}", 1
            )
        if names.count(column) > 1:
            told = ", ".join(names)
            raise unreadable(file, f"{key}: two columns '{column}' in the header: {told}", 1)
        return names.index(column)

    extra = tuple((name, place(column, "data.extra")) for name, column in config.extra.items())
    alone = not is_header and not asked
    fields = len(names) if is_header else 2 if alone else None
    return Layout.of(place(source), place(target), extra, fields), is_header


def check_header(row: Rejected, config: ReadingConfig) -> None:
    """Refuses a table whose header is no row; the next one would be taken for it.

    Args:
      row: the first of a table.
      config: how to read.

    Raises:
      PipelineError: a header is asked for.
    """
    named = any(isinstance(column, str) for column in _asked(config))
    if config.header or (named and config.header is None):
        problem = f"a header is asked for, and its first row is none ({row.reason}): {row.detail}"
        raise unreadable(row.file, problem, row.line)


def _asked(config: ReadingConfig) -> list[Column]:
    sides = [config.columns.source, config.columns.target] if config.columns else []
    return [*config.extra.values(), *sides]


def row_of(
    cells: Sequence[str], layout: Layout, file: str, line: int, max_characters: int, delimiter: str
) -> Row:
    """The pair in the cells of a row, or why there is none."""
    if len(cells) < layout.needed or (layout.fields and len(cells) != layout.fields):
        kind = NAMES.get(delimiter, f"'{delimiter}'-separated")
        enough = layout.fields and layout.fields >= layout.needed
        wanted = layout.fields if enough else f"at least {layout.needed}"
        detail = f"expected {wanted} {kind} fields, found {len(cells)}"
        return Rejected("wrong_field_count", detail, file, line, shown(delimiter.join(cells)))
    extra = (
        tuple((name, cells[place].strip()) for name, place in layout.extra) if layout.extra else ()
    )
    return checked(cells[layout.source], cells[layout.target], file, line, max_characters, extra)
