"""Both sides of many pairs, and what of their characters filters ask: of all of them at once.

A character has a set of kinds, from a table, and a filter looks closely at those pairs alone
that have a character of a kind which it is about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from .together import BEYOND, points_of

UNPRINTABLE = 1  # control, format and unassigned characters, and white space but the space
NUMERAL = 2  # a decimal digit, or what is one in disguise: small, raised or in a circle
SPACE = 4
BRACKET = 8  # what placeholders begin with
TAG = 16  # what markup begins with
NO_NFC, NO_NFKC = 32, 64  # what normal text cannot have, or not behind any character

# What lies beyond the first plane is looked at closely anyway.
NUMERALS = re.compile(
    "[\\d\u00b2\u00b3\u00b9\u2070-\u2089\u2460-\u24ff\u2776-\u2793\U00010000-\U0010ffff]"
)


class Sides:
    """The sides of pairs: first all sources, then all targets.

    Args:
      pairs: of source and target.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]):
        self.pairs = pairs
        self.texts = [source for source, _ in pairs] + [target for _, target in pairs]

    @cached_property
    def points(self) -> np.ndarray:
        """The characters of all texts, one after another, as numbers."""
        return points_of(self.texts)

    @cached_property
    def lengths(self) -> np.ndarray:
        """The characters of each text: int64 [2, pairs]."""
        lengths = np.fromiter(map(len, self.texts), np.int64, len(self.texts))
        return lengths.reshape(2, -1)

    @cached_property
    def ends(self) -> np.ndarray:
        """Where each text ends among `points`."""
        return np.cumsum(self.lengths.ravel())

    @cached_property
    def kinds(self) -> np.ndarray:
        """The kinds of each of `points`."""
        return kinds_of_characters()[np.minimum(self.points, BEYOND)]

    def having(self, kinds: int) -> np.ndarray:
        """The pairs that have a character of one of these kinds: bool [pairs]."""
        return self.pairs_at(np.flatnonzero(self.kinds & np.uint8(kinds)))

    def pairs_at(self, places: np.ndarray) -> np.ndarray:
        """The pairs of some of `points`: bool [pairs]."""
        found = np.zeros(len(self.texts), bool)
        found[np.searchsorted(self.ends, places, side="right")] = True
        return found.reshape(2, -1).any(axis=0)

    def spaced_oddly(self) -> np.ndarray:
        """The pairs with a space at an end or beside another, or with no text: bool [pairs]."""
        spaces = (self.kinds & np.uint8(SPACE)).astype(bool)
        doubled = self.pairs_at(np.flatnonzero(spaces[1:] & spaces[:-1]))
        ends = self.ends.reshape(2, -1)
        empty = self.lengths == 0
        # Of an empty text the places are another's, or beyond the last.
        spaces = np.r_[spaces, False]
        at_ends = spaces[ends - 1] | spaces[ends - self.lengths]
        return doubled | (at_ends | empty).any(axis=0)


@lru_cache(maxsize=1)
def kinds_of_characters() -> np.ndarray:
    """The kinds of each character of the first plane, and of all beyond: [`BEYOND` + 1]."""
    kinds = np.zeros(BEYOND + 1, np.uint8)
    characters = list(map(chr, range(BEYOND)))
    printable = np.fromiter(map(str.isprintable, characters), bool, BEYOND)
    kinds[:BEYOND][~printable] |= UNPRINTABLE
    for kind, members in (
        (NUMERAL, NUMERALS.findall("".join(characters))),
        (SPACE, " "),
        (BRACKET, "{%$"),
        (TAG, "<&"),
        (NO_NFC, _unstable("NFC", characters)),
        (NO_NFKC, _unstable("NFKC", characters)),
    ):
        kinds[[ord(character) for character in members]] |= kind
    kinds[BEYOND] = UNPRINTABLE | NUMERAL | NO_NFC | NO_NFKC
    return kinds


def _unstable(form: Literal["NFC", "NFKC"], characters: Sequence[str]) -> list[str]:
    """Of which text is that may not be normal: without them, all is (UAX #15, section 9).

    Those that become others, those that are ordered among marks, and those that may be
    composed with what stands before.
    """
    later = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for character in characters:
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and "<" not in parts[0]:
            later.add(chr(int(parts[1], 16)))
    return [
        character
        for character in characters
        if character in later
        or unicodedata.combining(character)
        or not unicodedata.is_normalized(form, character)
    ]
