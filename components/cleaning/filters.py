"""All filters by their names, and a pair's way through a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import not_
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
        found = each.apply_all(sides)
        faulty = [type(one) is Fault for one in found]
        if any(faulty):
            for place, fault in zip(compress(places, faulty), compress(found, faulty), strict=True):
                row = rows[place]
                text = shown(row[0], row[1])
                cleaned[place] = Rejected(*fault, row.file, row.line, text)
            fine = list(map(not_, faulty))
            places, found = list(compress(places, fine)), list(compress(found, fine))
        sides = found
    if filters:
        for place, (source, target) in zip(places, sides, strict=True):
            row = rows[place]
            if source is not row[0] or target is not row[1]:
                cleaned[place] = Pair(source, target, *row[2:])
    return cleaned
