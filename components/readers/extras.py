"""Columns that travel along with a pair, of formats in which a row may lack one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .options import Column, ReadingConfig
from .rows import Extra, unreadable

ABSENT = object()  # in place of a value


class Extras:
    """The extra columns of a file's rows; what one row lacks is empty, what all lack an error.

    Args:
      config: how to read.
      file: the name to report.
    """

    def __init__(self, config: ReadingConfig, file: str):
        self._columns = config.extra
        self._file = file
        self._lacking = set(config.extra.values())
        self._rows = 0

    def of(self, value: Callable[[Column], Any]) -> Extra:
        """The columns of a row, of which `value` gives each, or `ABSENT`."""
        if not self._columns:
            return ()
        self._rows += 1
        found = [(name, column, value(column)) for name, column in self._columns.items()]
        if self._lacking:
            self._lacking.difference_update(c for _, c, value in found if value is not ABSENT)
        return tuple((name, "" if value is ABSENT else _text(value)) for name, _, value in found)

    def check(self) -> None:
        """Refuses a file that has rows, and none with some column.

        Raises:
          PipelineError: names the column.
        """
        if self._rows and self._lacking:
            names = ", ".join(sorted(f"'{column}'" for column in self._lacking))
            raise unreadable(self._file, f"data.extra: none of its {self._rows:,} rows has {names}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value).encode("utf-8", "replace").decode()
