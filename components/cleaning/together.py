"""Questions about many texts, asked of all of them at once: a call for each would cost more."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from ...report.labels import is_ignorable

BEYOND = 1 << 16  # stands for every character that is not of the first plane


def points_of(texts: Sequence[str]) -> np.ndarray:
    """The characters of all texts, one after another, as numbers."""
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")


def texts_with(table: np.ndarray, texts: Sequence[str]) -> list[int]:
    """The places of those texts that have a character which a table marks.

    Args:
      table: bool [`BEYOND` + 1], by the number of the character.
      texts: any.
    """
    marked = np.flatnonzero(table[np.minimum(points_of(texts), BEYOND)])
    if not len(marked):
        return []
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return np.unique(np.searchsorted(ends, marked, side="right")).tolist()


def table_of(characters: Iterable[str], beyond: bool) -> np.ndarray:
    """The table that marks some characters, and all beyond the first plane or none of them."""
    table = np.zeros(BEYOND + 1, bool)
    table[[ord(character) for character in characters]] = True
    table[BEYOND] = beyond
    return table


@lru_cache(maxsize=1)
def no_letters_or_digits() -> np.ndarray:
    """Marks what is neither a letter, with its marks, nor a digit: bool, of every character."""
    return ~np.fromiter(map(_is_of_a_word, map(chr, range(0x110000))), bool, 0x110000)


def _is_of_a_word(character: str) -> bool:
    if character.isalnum():
        return True
    # Many scripts write vowels as marks.
    return unicodedata.category(character) in ("Mn", "Mc") and not is_ignorable(character)
