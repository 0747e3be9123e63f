"""Filters by what both sides must have in common, or must not."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from .filter import Fault, PairFilter
from .together import table_of, texts_with

# Named and positional ones of str.format, Fluent, ICU, i18next and templates; printf's;
# ${shell}; and Ruby's %{name}.
PLACEHOLDER = re.compile(
    r"\{\{[^{}]{1,100}\}\}|[$%]?\{[A-Za-z0-9_.:!\[\]-]{0,100}\}"
    r"|%(?:\d+\$)?(?:\([A-Za-z0-9_.]{1,100}\))?[-+#0]{0,5}(?:\d{1,3}|\*)?(?:\.\d{1,3})?"
    r"(?:hh|h|ll|l|z)?[sdiufgexXc@]\b"
)
NUMBER = re.compile(r"\d+(?:[.,'\u00a0\u202f ]\d{3})+(?!\d)|\d+")

# Decimal digits, or what is one in disguise: small, raised or in a circle. Spelled out,
# for the search is many times as fast as with `\d` among them; what lies beyond the
# first plane is looked at closely anyway.
DECIMALS = "".join(chr(code) for code in range(1 << 16) if chr(code).isdecimal())
DISGUISED = "\u00b2\u00b3\u00b9\u2070-\u2089\u2460-\u24ff\u2776-\u2793"
NUMERAL = re.compile(f"[{DECIMALS}{DISGUISED}\U00010000-\U0010ffff]")
NUMERALS = table_of(filter(NUMERAL.match, map(chr, range(1 << 16))), beyond=True)


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

    def apply_all(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str] | Fault]:
        # A character's case is folded whatever stands beside it.
        alike = (
            place
            for place, (source, target) in enumerate(pairs)
            if source[:1].casefold()[:1] == target[:1].casefold()[:1]
        )
        return self._looked_at(pairs, alike)


class Placeholders(PairFilter):
    """`{name}`, `%s`, `${x}` and the like: each as often on one side as on the other."""

    filter: Literal["placeholders"]

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        if not ("{" in source or "%" in source or "{" in target or "%" in target):
            return source, target
        ours, theirs = (Counter(PLACEHOLDER.findall(side)) for side in (source, target))
        return _compared("placeholders_differ", ours, theirs) or (source, target)

    def apply_all(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str] | Fault]:
        suspects = (
            place
            for place, (source, target) in enumerate(pairs)
            if "{" in source or "%" in source or "{" in target or "%" in target
        )
        return self._looked_at(pairs, suspects)


class Numbers(PairFilter):
    """The numbers on one side stand on the other, however their thousands are marked."""

    filter: Literal["numbers"]

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        if not (has_numeral(source) or has_numeral(target)):
            return source, target
        ours, theirs = (_numbers(side) for side in (source, target))
        return _compared("numbers_differ", ours, theirs) or (source, target)

    def apply_all(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str] | Fault]:
        return self._looked_at(pairs, texts_with(NUMERALS, list(map("".join, pairs))))


def has_numeral(text: str) -> bool:
    """Whether a text may have a digit, in whatever dress."""
    return NUMERAL.search(text) is not None


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
