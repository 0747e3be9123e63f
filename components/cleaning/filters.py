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
from .sides import Sides
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

# One pair in so many may be rejected before the others are looked at without it.
MANY = 8


def clean(row: Row, filters: Sequence[PairFilter]) -> Row:
    """A row after filters, in their order: the first that finds a fault ends it."""
    return clean_all([row], filters)[0]


def clean_all(rows: Sequence[Row], filters: Sequence[PairFilter]) -> list[Row]:
    """Several rows after filters, a filter at a time."""
    cleaned = list(rows)
    places = [place for place, row in enumerate(rows) if isinstance(row, Pair)]
    if not filters or not places:
        return cleaned
    pairs = [(rows[place][0], rows[place][1]) for place in places]
    sides = Sides(pairs)
    gone: set[int] = set()
    for each in filters:
        mended = False
        for which, found in each.changes(sides).items():
            if which in gone:
                continue
            row = rows[places[which]]
            if type(found) is Fault:
                text = shown(row[0], row[1])
                cleaned[places[which]] = Rejected(*found, row.file, row.line, text)
                gone.add(which)
            elif found != pairs[which]:
                cleaned[places[which]] = Pair(*found, *row[2:])
                pairs[which] = found
                mended = True
        if mended or len(gone) > len(pairs) // MANY:
            left = [which for which in range(len(pairs)) if which not in gone]
            places = [places[which] for which in left]
            pairs = [pairs[which] for which in left]
            sides, gone = Sides(pairs), set()
    return cleaned
