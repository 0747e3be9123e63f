"""Filters that mend the text of a side, or refuse what cannot be mended."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Literal

import numpy as np

from .filter import Fault, PairFilter
from .sides import NO_NFC, NO_NFKC, TAG, UNPRINTABLE, Sides

# Format characters that text needs: joiners of Persian and Indic scripts and of emoji.
JOINERS = "\u200c\u200d"
# Ruby's %<count>d is a placeholder, and no tag.
MARKUP = re.compile(
    r"(?!(?<=%)<[A-Za-z0-9_]{1,100}>[-+#0]{0,5}\d{0,3}(?:\.\d{1,3})?[sdiufgexX]\b)"
    r"</?[A-Za-z][A-Za-z0-9:-]*(\s[^<>]{0,500})?/?>"
    r"|<!--.{0,500}?-->",
    re.DOTALL,
)


class Normalize(PairFilter):
    """Unicode normalization (UAX #15), and one space for each run of white space."""

    filter: Literal["normalize"]
    form: Literal["NFC", "NFKC"] = "NFC"
    white_space: bool = True

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        return _non_empty(self._mend(source), self._mend(target))

    def suspects(self, sides: Sides) -> np.ndarray:
        unstable = NO_NFC if self.form == "NFC" else NO_NFKC
        return sides.having(UNPRINTABLE | unstable) | sides.spaced_oddly()

    def _mend(self, text: str) -> str:
        text = unicodedata.normalize(self.form, text)
        return " ".join(text.split()) if self.white_space else text


class ControlCharacters(PairFilter):
    """Control, format (but joiners), private and unassigned characters."""

    filter: Literal["control_characters"]
    action: Literal["reject", "remove"] = "reject"

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        if source.isprintable() and target.isprintable():
            return source, target
        if self.action == "remove":
            kept = ("".join(c for c in side if not _is_control(c)) for side in (source, target))
            return _non_empty(*(side.strip() for side in kept))
        for name, side in (("source", source), ("target", target)):
            for place, character in enumerate(side, start=1):
                if _is_control(character):
                    detail = f"U+{ord(character):04X} in the {name}, at character {place}"
                    return Fault("control_character", detail)
        return source, target

    def suspects(self, sides: Sides) -> np.ndarray:
        return sides.having(UNPRINTABLE)


def _is_control(character: str) -> bool:
    if character.isprintable() or character in "\t\n" or character in JOINERS:
        return False
    return unicodedata.category(character) in {"Cc", "Cf", "Co", "Cn", "Cs"}


class Markup(PairFilter):
    """HTML or XML in text: left out, refused, or refused where the sides differ in it."""

    filter: Literal["markup"]
    action: Literal["reject", "remove", "match"] = "match"
    entities: bool = True  # with `remove`: write `&amp;` as the character that it stands for

    def apply(self, source: str, target: str) -> tuple[str, str] | Fault:
        if self.action == "remove":
            return _non_empty(self._plain(source), self._plain(target))
        ours, theirs = (sorted(m[0] for m in MARKUP.finditer(side)) for side in (source, target))
        if self.action == "reject" and (ours or theirs):
            return Fault("markup", (ours or theirs)[0][:80])
        if self.action == "match" and _names(ours) != _names(theirs):
            detail = f"source {' '.join(ours) or 'none'}, target {' '.join(theirs) or 'none'}"
            return Fault("markup_differs", detail[:200])
        return source, target

    def suspects(self, sides: Sides) -> np.ndarray:
        if self.action == "remove":
            return sides.having(TAG | UNPRINTABLE) | sides.spaced_oddly()
        return sides.having(TAG)

    def _plain(self, text: str) -> str:
        text = MARKUP.sub(" ", text)
        return " ".join((html.unescape(text) if self.entities else text).split())


def _names(tags: list[str]) -> list[str]:
    """Tags without their attributes, which may be translated."""
    return sorted(re.sub(r"\s.*", "", tag.strip("<>"), flags=re.DOTALL).rstrip("/") for tag in tags)


def _non_empty(source: str, target: str) -> tuple[str, str] | Fault:
    if source.strip() and target.strip():
        return source, target
    for name, side in (("source", source), ("target", target)):
        if not side.strip():
            return Fault(f"empty_{name}", "nothing is left after cleaning")
    return source, target
