"""Filters by writing system."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from .filter import Fault, PairFilter

# The first word of a letter's Unicode name, where it is not the script's own name.
SCRIPTS = {"CJK": "HAN", "IDEOGRAPHIC": "HAN", "KATAKANA-HIRAGANA": "KATAKANA"}
Script = Annotated[str, Field(pattern=r"^[A-Z][a-z]+$")]


class ScriptOf(PairFilter):
    """So large a part of a side's letters must be of its script, or of one of several."""

    filter: Literal["script"]
    source: list[Script] | None = None  # such as [Latin], or [Han, Hiragana, Katakana]
    target: list[Script] | None = None
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.5

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        for name, side, wanted in (
            ("source", source, self.source),
            ("target", target, self.target),
        ):
            if wanted is None:
                continue
            names = {script.upper() for script in wanted}
            found = [script_of(character) for character in side if character.isalpha()]
            share = sum(script in names for script in found) / len(found) if found else 1.0
            if share < self.min_share:
                detail = f"{share:.0%} of the letters are {' or '.join(wanted)}"
                return Fault(f"{name}_script", f"{detail}, at least {self.min_share:.0%}")
        return source, target


@lru_cache(maxsize=1 << 16)
def script_of(letter: str) -> str:
    """The writing system of a letter, as its Unicode name begins, in capitals.

    Letters in another dress (º, Ａ, 𝐱, ｱ) have that of the plain one.
    """
    plain = unicodedata.normalize("NFKC", letter)[:1]
    first = unicodedata.name(plain, "UNKNOWN").partition(" ")[0]
    return SCRIPTS.get(first, first)
