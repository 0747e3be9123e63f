"""The fonts of this machine, and which of them knows a character."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import uharfbuzz as hb
from PIL import ImageFont

from .labels import DOTTED_CIRCLE, OPEN_BOX, WORD_START, clusters, is_emoji, is_ignorable

# What stands in for these where no font knows them.
_SUBSTITUTES = {WORD_START: "_", OPEN_BOX: "_", DOTTED_CIRCLE: ""}
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_STYLED = re.compile(
    "bold|italic|oblique|light|thin|black|medium|heavy|semi|extra|condensed|mono|serif|display"
)


class Typeface:
    """One face of a font file.

    Args:
      name: of the file.
      blob: its content.
    """

    def __init__(self, name: str, blob: hb.Blob):
        self.name = name
        # Of a collection the first face: those of a CJK collection hold the same
        # characters, and the language of the text chooses among their forms.
        self.face = hb.Face(blob, 0)
        self.font = hb.Font(self.face)
        self._characters = self.face.unicodes

    def covers(self, cluster: str) -> bool:
        """Whether the face has all that a cluster needs."""
        return all(ord(c) in self._characters or is_ignorable(c) for c in cluster)


class Fonts:
    """The fonts in some folders, the plain sans-serif ones preferred.

    Files are read as they are needed. Where no font is installed at all, the font
    that Pillow brings draws ASCII.

    Args:
      directories: where to look; where the freedesktop.org specifications say if None.
    """

    def __init__(self, directories: Iterable[Path] | None = None):
        files = {
            path
            for folder in (_font_directories() if directories is None else directories)
            for path in folder.rglob("*")
            if path.suffix.lower() in _SUFFIXES
        }
        ranked = sorted(files, key=_rank)
        self._text = _Shelf(path for path in ranked if "emoji" not in path.stem.lower())
        self._emoji = _Shelf(path for path in ranked if "emoji" in path.stem.lower())
        default = ImageFont.load_default(16)
        assert isinstance(default, ImageFont.FreeTypeFont)
        self.last_resort = Typeface("Pillow's own", hb.Blob(default.font_bytes))
        self._chosen: dict[str, Typeface | None] = {}

    def choose(self, cluster: str) -> Typeface | None:
        """The preferred face that has all of a cluster; None if there is none."""
        if cluster not in self._chosen:
            self._chosen[cluster] = self._choose(cluster)
        return self._chosen[cluster]

    def drawable(self, text: str) -> str:
        """A text with the signs of `labels` replaced where no font knows them."""
        for sign, substitute in _SUBSTITUTES.items():
            if sign in text and not self.choose(sign):
                text = text.replace(sign, substitute)
        return text

    def parts(self, text: str) -> list[str]:
        """Cuts a text into its clusters, those that no face has whole into characters."""
        whole_or_not = ([part] if self.choose(part) else part for part in clusters(text))
        return [part for parts in whole_or_not for part in parts]

    def missing(self, texts: Iterable[str]) -> list[str]:
        """The characters of some texts that no font here can draw, by their numbers."""
        parts = {part for text in texts for part in self.parts(self.drawable(text))}
        return sorted(part for part in parts if not self.choose(part))

    def _choose(self, cluster: str) -> Typeface | None:
        shelves = [self._text, self._emoji]
        if is_emoji(cluster):
            shelves.reverse()
        faces = (face for shelf in shelves for face in shelf)
        found = next((face for face in faces if face.covers(cluster)), None)
        return found or (self.last_resort if self.last_resort.covers(cluster) else None)


class _Shelf:
    """Typefaces, each read when it is first reached."""

    def __init__(self, paths: Iterable[Path]):
        self._unread = iter(list(paths))
        self._faces: list[Typeface] = []

    def __iter__(self) -> Iterator[Typeface]:
        yield from self._faces
        for path in self._unread:
            try:
                face = Typeface(path.name, hb.Blob.from_file_path(str(path)))
            except (hb.HarfBuzzError, OSError):
                continue  # not readable: there may be others
            if _can_be_drawn(face.face):
                self._faces.append(face)
                yield face


def advice(missing: Iterable[str]) -> str:
    """What to tell a user about characters that no font can draw.

    Args:
      missing: the characters.

    Returns:
      The scripts and characters, and which packages of Debian have them.
    """
    scripts: dict[str, list[str]] = {}
    packages = set()
    for character in missing:
        script, package = _script_and_package(character)
        scripts.setdefault(script, []).append(character)
        packages.add(package)
    lines = [
        f"  {script}: {' '.join(f'U+{ord(c):04X}' for c in found[:8])}"
        + (f" and {len(found) - 8} more" if len(found) > 8 else "")
        for script, found in scripts.items()
    ]
    return "\n".join(
        [
            "no installed font can draw these characters, which are boxes in the PNG:",
            *lines,
            f"Debian, Ubuntu: apt-get install {' '.join(sorted(packages))}; or put a font that "
            "has them into ~/.local/share/fonts",
        ]
    )


def _script_and_package(character: str) -> tuple[str, str]:
    name = unicodedata.name(character, "")
    first = name.partition(" ")[0].partition("-")[0]
    if first in ("CJK", "KANGXI", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"):
        script = {"CJK": "Chinese characters", "IDEOGRAPHIC": "Chinese characters"}.get(first)
        return script or first.capitalize(), "fonts-noto-cjk"
    if first in ("FULLWIDTH", "HALFWIDTH") or 0x3000 <= ord(character) < 0x3040:
        return "East Asian signs", "fonts-noto-cjk"
    if is_emoji(character):
        return "Emoji", "fonts-noto-color-emoji"
    if unicodedata.category(character)[0] in "LMN" and first not in ("COMBINING", "MODIFIER"):
        return first.capitalize(), "fonts-noto-core"
    return ("Signs" if name else "Characters without a name"), "fonts-noto-core"


def _can_be_drawn(face: hb.Face) -> bool:
    """Whether `png` can draw it: outlines or PNG bitmaps, not colour layers or SVG."""
    tables = set(face.table_tags)
    has_outlines = bool(tables & {"glyf", "CFF ", "CFF2"})
    return face.has_color_png or (has_outlines and "COLR" not in tables)


def _rank(path: Path) -> tuple[bool, int, str]:
    """Sorts the plain before the bold, and the families that cover most first."""
    name = path.stem.lower()
    if name.startswith("notosans-"):
        family = 0
    elif name.startswith("notosans"):
        family = 1
    elif name.startswith("dejavusans"):
        family = 2
    else:
        family = 3 if "sans" in name else 4
    return bool(_STYLED.search(name)), family, str(path)


def _font_directories() -> tuple[Path, ...]:
    home = Path.home()
    data = [os.environ.get("XDG_DATA_HOME") or str(home / ".local/share")]
    data += (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    return (*(Path(folder) / "fonts" for folder in data if folder), home / ".fonts")
