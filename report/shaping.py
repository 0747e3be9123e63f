"""Text to placed glyphs: right in any script, by HarfBuzz."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from typing import NamedTuple

import uharfbuzz as hb

from . import bidi
from .fonts import Fonts, Typeface
from .labels import SPACES


class Glyph(NamedTuple):
    """A glyph and where its origin is, in ems from the left end of the baseline, y up."""

    typeface: Typeface
    glyph_id: int
    x: float
    y: float
    is_space: bool  # a sign for space, see `labels.SPACES`


class Line(NamedTuple):
    """A shaped line of text."""

    glyphs: list[Glyph]
    width: float  # in ems


class _Run(NamedTuple):
    """What HarfBuzz shapes at once."""

    level: int
    script: str
    typeface: Typeface | None  # no font can draw it


class Shaper:
    """Shapes labels with the fonts that know their characters.

    Args:
      fonts: to choose from.
      texts: all that a picture holds: whether there is Japanese or Korean among it
        decides which forms Chinese characters take.
    """

    def __init__(self, fonts: Fonts, texts: Iterable[str] = ()):
        self._fonts = fonts
        self._han = _language_of_han(texts)

    def shape(self, text: str) -> Line:
        """Places the glyphs of a text, in visual order.

        What no font can draw becomes the box of the last resort.
        """
        text = self._fonts.drawable(text)
        glyphs: list[Glyph] = []
        x = 0.0
        runs = self._runs(text)
        for index in bidi.visual_order([run.level for run, _ in runs]):
            run, part = runs[index]
            x = self._place(run, part, x, glyphs)
        return Line(glyphs, x)

    def width(self, text: str) -> float:
        """The length of a text in ems."""
        return self.shape(text).width

    def _runs(self, text: str) -> list[tuple[_Run, str]]:
        """Cuts a text where direction, script or font changes, in reading order."""
        level_of = bidi.levels(text)
        parts = self._fonts.parts(text)
        scripts = _resolve([_script(part) for part in parts])
        keys = []
        start = 0
        for part, script in zip(parts, scripts, strict=True):
            keys.append(_Run(level_of[start], script, self._fonts.choose(part)))
            start += len(part)
        grouped = groupby(zip(keys, parts, strict=True), key=lambda pair: pair[0])
        return [(run, "".join(part for _, part in pairs)) for run, pairs in grouped]

    def _place(self, run: _Run, text: str, x: float, glyphs: list[Glyph]) -> float:
        """Adds the glyphs of a run from x on; gives where they end."""
        if run.typeface is None:
            for character in text:
                glyphs.append(Glyph(self._fonts.last_resort, 0, x, 0.0, False))
                # As wide as it will be where there is a font, for the SVG's sake.
                x += 1.0 if unicodedata.east_asian_width(character) in "WF" else 0.6
            return x
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        if run.script:
            buffer.script = run.script
        buffer.direction = "rtl" if run.level % 2 else "ltr"
        buffer.language = self._han if run.script == "Hani" else "und"
        hb.shape(run.typeface.font, buffer)
        em = run.typeface.face.upem
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            place = x + position.x_offset / em, position.y_offset / em
            is_space = text[info.cluster] in SPACES
            glyphs.append(Glyph(run.typeface, info.codepoint, *place, is_space))
            x += position.x_advance / em
        return x


@cache
def _script(cluster: str) -> str:
    """The ISO 15924 tag of a cluster's script, '' if it goes with any."""
    buffer = hb.Buffer()
    buffer.add_str(cluster)
    buffer.guess_segment_properties()
    return buffer.script or ""


def _resolve(scripts: list[str]) -> list[str]:
    """Gives signs of no script that of what is before them, or else after."""
    known = next((script for script in scripts if script), "")
    resolved = []
    for script in scripts:
        known = script or known
        resolved.append(known)
    return resolved


def _language_of_han(texts: Iterable[str]) -> str:
    scripts = {_script(character) for text in texts for character in text}
    if scripts & {"Hira", "Kana"}:
        return "ja"
    return "ko" if "Hang" in scripts else "zh-Hans"
