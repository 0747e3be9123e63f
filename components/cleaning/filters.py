"""All filters by their names, and a pair's way through a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ..readers.rows import Pair, Rejected, Row, shown
from .agreement import Identical, Numbers, Placeholders
from .duplicates import Duplicates, NearDuplicates
from .filter import Fault, PairFilter
from .lengths import Length, LengthRatio
from .scripts import ScriptOf
from .text import ControlCharacters, Markup, Normalize

AnyFilter = Annotated[
    Normalize
    | ControlCharacters
    | Markup
    | Length
    | LengthRatio
    | Identical
    | Placeholders
    | Numbers
    | ScriptOf
    | Duplicates
    | NearDuplicates,
    Field(discriminator="filter"),
]


def clean(row: Row, filters: Sequence[PairFilter]) -> Row:
    """A row after filters, in their order: the first that finds a fault ends it."""
    if isinstance(row, Rejected) or not filters:
        return row
    source, target = row.source, row.target
    for each in filters:
        found = each.apply(source, target)
        if isinstance(found, Fault):
            text = shown(row.source, row.target)
            return Rejected(found.reason, found.detail, row.file, row.line, text)
        source, target = found
    return Pair(source, target, row.file, row.line, row.extra)
