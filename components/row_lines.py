"""Batches of rows as lines in files: kept and rejected pairs, as people get them.

A worker writes into a file of its own for each bundle; what crosses a shuffle is the names
of those files, and what was counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.transforms.window import GlobalWindows

from .aside import Aside
from .ingestion import PairRow, RejectedRow
from .readers.rows import Rejected

EXAMPLES = 10  # rejected rows that are told of each reason

# Of each reason how many rows there are, and the first of them.
Reasons = dict[str, tuple[int, list[RejectedRow]]]


class WriteLines(beam.DoFn):
    """Writes batches of rows as lines, in a file for each bundle, and counts them.

    Gives (name, (path, what was counted)), which `merge_lines` brings together.

    Args:
      name: of these rows.
      folder: of the files.
      as_lines: the lines of a batch, the last without its end.
      counted: what is told of a batch.
      add: what is told of several, by what is told of each.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        as_lines: Callable[[Any], bytes],
        counted: Callable[[Any], Any],
        add: Callable[[Iterable[Any]], Any],
    ):
        self._name = name
        self._folder = folder
        self._as_lines = as_lines
        self._counted = counted
        self._add = add

    def start_bundle(self) -> None:
        self._aside = Aside(self._folder)
        self._total = self._add(())

    def process(self, rows: Sequence[Any]) -> None:
        self._aside.file(self._name).write(self._as_lines(rows) + b"\n")
        self._total = self._add((self._total, self._counted(rows)))

    def finish_bundle(self) -> Iterator[Any]:
        for name, path in self._aside.close():
            yield GlobalWindows.windowed_value((name, (path, self._total)))


def merge_lines(
    parts: Iterable[tuple[str, Any]], add: Callable[[Iterable[Any]], Any]
) -> tuple[list[str], Any]:
    """The files that `WriteLines` wrote, and what it counted in all of them."""
    parts = list(parts)
    return [path for path, _ in parts], add(counted for _, counted in parts)


def first_of_reasons(rows: Sequence[RejectedRow]) -> Reasons:
    """How many rows were rejected for each reason, and the first of them."""
    reasons: dict[str, list[RejectedRow]] = {}
    for row in rows:
        reasons.setdefault(row[0], []).append(row)
    return {reason: (len(found), found) for reason, found in reasons.items()}


def add_reasons(parts: Iterable[Reasons]) -> Reasons:
    """The sums of what `first_of_reasons` tells."""
    merged: Reasons = {}
    for counts in parts:
        for reason, (number, rows) in counts.items():
            before, first = merged.get(reason, (0, []))
            rows = sorted([*first, *rows], key=_place)[:EXAMPLES]
            merged[reason] = (before + number, rows)
    return merged


def _place(row: RejectedRow) -> tuple[str, int]:
    return row[2], row[3]


def numbers_of(reasons: Reasons) -> dict[str, int]:
    """How many rows were rejected for each reason."""
    return {reason: number for reason, (number, _) in sorted(reasons.items())}


def examples_of(reasons: Reasons) -> dict[str, list[dict[str, Any]]]:
    """The first rejected rows of each reason, by the names of their columns."""
    return {
        reason: [dict(zip(Rejected._fields, row, strict=True)) for row in rows]
        for reason, (_, rows) in sorted(reasons.items())
    }


def told_rejected(
    numbers: dict[str, int], examples: dict[str, list[dict[str, Any]]], most: int = EXAMPLES
) -> list[str]:
    """So many rejected rows for people, of the most frequent reasons first, each in its turn."""
    order = sorted(numbers, key=lambda reason: (-numbers[reason], reason))
    rows = zip_longest(*([_told(row) for row in examples.get(r, ())] or [""] for r in order))
    told = [
        f"{reason} {numbers[reason]:,}{row}"
        for turn, of_reasons in enumerate(rows)
        for reason, row in zip(order, of_reasons, strict=True)
        if row or not turn
    ]
    return told[:most]


def _told(row: dict[str, Any]) -> str:
    return f": {row['file']}:{row['line']}: {row['detail']}: {row['text'][:80]!r}"


def add_counts(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """The sums of counts by name."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def rejected_as_json(rows: Sequence[RejectedRow]) -> bytes:
    """Rejected rows as lines of JSON, the last without its end."""
    return b"\n".join(orjson.dumps(dict(zip(Rejected._fields, row, strict=True))) for row in rows)


def kept_as_json(rows: Sequence[PairRow]) -> bytes:
    """Kept rows as lines of JSON, which the reader of JSON Lines takes by itself."""
    return b"\n".join(
        orjson.dumps(
            {"source": source, "target": target, **dict(extra), "file": file, "line": line}
        )
        for source, target, file, line, extra in rows
    )
