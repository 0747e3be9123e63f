"""Filters by what both sides must have in common, or must not."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from .filter import Fault, PairFilter
from .sides import BRACKET, NUMERAL, NUMERALS, Sides
from .together import BEYOND

# Named and positional ones of str.format, Fluent, ICU, i18next and templates; printf's;
# ${shell} and $shell; and Ruby's %{name} and %<name>d.
PLACEHOLDER = re.compile(
    r"\{\{[^{}]{1,100}\}\}|[$%]?\{[A-Za-z0-9_.:!\[\]-]{0,100}\}"
    r"|%(?:\d+\$)?(?:\([A-Za-z0-9_.]{1,100}\)|<[A-Za-z0-9_.]{1,100}>)?[-+#0]{0,5}(?:\d{1,3}|\*)?(?:\.\d{1,3})?"
    r"(?:hh|h|ll|l|z)?(?:[sdiufgexXc]\b|@)"
    r"|(?<![A-Za-z0-9$])\$[A-Za-z_][A-Za-z0-9_]{0,100}"
)
# ICU's {count, plural, one {# file} other {# files}}: each language has forms of its own.
FORMS = re.compile(r"\{\s*([A-Za-z0-9_]{1,100})\s*,\s*(plural|select|selectordinal)\s*,")
FORM = re.compile(r"(?:=\d{1,9}|\b(?:zero|one|two|few|many|other|male|female))\s*\{")
# A space marks thousands behind three digits at most: "2020 100" are two numbers.
NUMBER = re.compile(
    r"\d{1,3}(?:[.,'\u2019\u00a0\u202f ]\d{3})+(?!\d)|\d+(?:[.,'\u2019]\d{3})+(?!\d)|\d+"
)


class Identical(PairFilter):
    """Sides that are the same: text that nobody translated."""

    filter: Literal["identical"]
    ignore_case: bool = True
    # A name or a number is the same in many languages: shorter texts may be.
    min_words: Annotated[int, Field(ge=1)] = 1

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        if self.min_words > 1 and len(source.split()) < self.min_words:
            return source, target
        ours, theirs = source[:1], target[:1]
        if ours.isascii() and theirs.isascii() and ours.lower() != theirs.lower():
            return source, target  # most pairs are told apart so, in less time
        same = source.casefold() == target.casefold() if self.ignore_case else source == target
        return (
            Fault("identical_sides", "source and target are the same")
            if same
            else (
                source,
                target,
            )
        )

    def suspects(self, sides: Sides) -> np.ndarray:
        # A character's case is folded whatever stands beside it.
        starts = sides.ends - sides.lengths.ravel()
        empty = (sides.lengths == 0).any(axis=0)
        if not len(sides.points):
            return empty
        points = sides.points[np.minimum(starts, len(sides.points) - 1)]
        ours, theirs = first_folded()[np.minimum(points, BEYOND)].reshape(2, -1)
        return (ours == theirs) | empty


@lru_cache(maxsize=1)
def first_folded() -> np.ndarray:
    """What the case of each character is folded to, or begins with: uint32 [`BEYOND` + 1]."""
    return np.array([ord(chr(code).casefold()[0]) for code in range(BEYOND + 1)], np.uint32)


class Placeholders(PairFilter):
    """`{name}`, `%s`, `$x` and the like: each as often on one side as on the other."""

    filter: Literal["placeholders"]

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        ours, theirs = (_placeholders(side) for side in (source, target))
        return _compared("placeholders_differ", ours, theirs) or (source, target)

    def suspects(self, sides: Sides) -> np.ndarray:
        return sides.having(BRACKET)


def _placeholders(text: str) -> Counter[str]:
    """How often each stands in a text; once, where it has forms of a plural or the like."""
    forms = FORMS.findall(text)
    if not forms:
        return Counter(PLACEHOLDER.findall(text))
    found = {f"{{{name}, {kind}}}" for name, kind in forms}
    return Counter(found | set(PLACEHOLDER.findall(FORM.sub(" ", text))))


class Numbers(PairFilter):
    """The numbers on one side stand on the other, however their thousands are marked."""

    filter: Literal["numbers"]

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        if not (NUMERALS.search(source) or NUMERALS.search(target)):
            return source, target
        ours, theirs = (_numbers(side) for side in (source, target))
        return _compared("numbers_differ", ours, theirs) or (source, target)

    def suspects(self, sides: Sides) -> np.ndarray:
        return sides.having(NUMERAL)


def _numbers(text: str) -> Counter[str]:
    """The numbers of a text in ASCII digits, without marks and zeros before them."""
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    found: Counter[str] = Counter()
    for match in NUMBER.finditer(text):
        digits = (str(unicodedata.digit(c)) for c in match[0] if c.isdecimal())
        found["".join(digits).lstrip("0") or "0"] += 1
    return found


def _compared(reason: str, ours: Counter[str], theirs: Counter[str]) -> Fault | None:
    if ours == theirs:
        return None
    alone = [", ".join(sorted(side)[:5]) or "none" for side in (ours - theirs, theirs - ours)]
    return Fault(reason, f"only in the source: {alone[0]}; only in the target: {alone[1]}"[:200])
