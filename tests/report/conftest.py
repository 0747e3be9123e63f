"""Fonts that no machine need have: made of the glyphs of the one that Pillow brings."""

import struct

import pytest

from seq2seq_tfx.report.fonts import Fonts

COPIED = ("head", "hhea", "hmtx", "maxp", "glyf", "loca", "OS/2", "post", "name")

# Beh, and its forms: alone, at the end, at the beginning and in the middle of a word.
BEH, ALONE, END, BEGIN, MIDDLE = "\u0628", "\ufe8f", "\ufe90", "\ufe91", "\ufe92"


def cmap(glyphs):
    """A character map of format 12: one group for each character."""
    groups = b"".join(struct.pack(">3I", ord(c), ord(c), glyphs[c]) for c in sorted(glyphs))
    table = struct.pack(">HHIII", 12, 0, 16 + len(groups), 0, len(glyphs)) + groups
    return struct.pack(">HHHHI", 0, 1, 3, 10, 12) + table


def font(letters):
    """A font file that draws each of some characters as an ASCII letter is drawn."""
    own = Fonts([]).last_resort
    tables = {tag: own.face.reference_table(tag).data for tag in COPIED}
    tables["cmap"] = cmap({c: own.font.get_nominal_glyph(ord(a)) for c, a in letters.items()})
    directory = struct.pack(">IHHHH", 0x00010000, len(tables), 0, 0, 0)
    offset = len(directory) + 16 * len(tables)
    body = b""
    for tag in sorted(tables):
        content = tables[tag]
        directory += tag.encode().ljust(4) + struct.pack(">3I", 0, offset + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    return directory + body


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of fonts: by name, the characters each draws and as which letter."""

    def make(**fonts):
        place = tmp_path / "fonts"
        place.mkdir(exist_ok=True)
        for name, letters in fonts.items():
            known = letters if isinstance(letters, dict) else dict(zip(letters, letters))  # noqa: B905
            (place / f"{name}.ttf").write_bytes(font(known))
        return place

    return make


@pytest.fixture(scope="session")
def bare():
    """What a machine without any font has."""
    return Fonts([])


@pytest.fixture
def joining(folder):
    """A font that joins one Arabic letter: it draws A alone and B, C, D in words."""
    forms = {BEH: "A", ALONE: "A", END: "B", MIDDLE: "C", BEGIN: "D", "\u2581": "_"}
    return Fonts([folder(joining=forms)])
