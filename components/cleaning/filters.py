"""All filters by their names, and a pair's way through a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ..readers.rows import Pair, Rejected, Row, shown
from .agreement import Identical, Numbers, Placeholders
from .duplicates import Duplicates, NearDuplicates
from .filter import Fault, PairFilter
from .languages import LanguageOf
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
    | LanguageOf
    | Duplicates
    | NearDuplicates,
    Field(discriminator="filter"),
]


def clean(row: Row, filters: Sequence[PairFilter]) -> Row:
    """A row after filters, in their order: the first that finds a fault ends it."""
    return clean_all([row], filters)[0]


def clean_all(rows: Sequence[Row], filters: Sequence[PairFilter]) -> list[Row]:
    """Several rows after filters, a filter at a time."""
    cleaned = list(rows)
    places = [place for place, row in enumerate(rows) if isinstance(row, Pair)]
    sides = [(rows[place][0], rows[place][1]) for place in places]
    for each in filters:
        left, mended = [], []
        for place, found in zip(places, each.apply_all(sides), strict=True):
            if isinstance(found, Fault):
                row = rows[place]
                text = shown(row[0], row[1])
                cleaned[place] = Rejected(*found, row.file, row.line, text)
            else:
                left.append(place)
                mended.append(found)
        places, sides = left, mended
    if filters:
        for place, found in zip(places, sides, strict=True):
            cleaned[place] = Pair(*found, *rows[place][2:])
    return cleaned
