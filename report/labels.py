"""Tokens as labels: whatever a token holds can be seen, and nothing of it acts."""

from __future__ import annotations

import unicodedata

WORD_START = "\u2581"  # SentencePiece's
DOTTED_CIRCLE = "\N{DOTTED CIRCLE}"  # what carries a mark that stands alone
OPEN_BOX = "\N{OPEN BOX}"
SPACES = WORD_START + OPEN_BOX  # they stand for space, and are drawn paler than text

_JOINER = "\u200d"
_REGIONAL = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
# Embeddings, overrides and isolates would reach beyond their token.
_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(token: str) -> str:
    """A token as it is shown, in which no character is invisible alone or illegal in XML.

    White space becomes an open box, a control character its picture or its number in
    brackets; a token that begins with a combining mark gets a dotted circle to carry it.

    Args:
      token: any text, lone surrogates included.
    """
    shown = "".join(_visible(character) for character in token)
    if shown and all(unicodedata.category(c) == "Cf" for c in shown):
        shown = "".join(_number(character) for character in shown)
    if shown and unicodedata.category(shown[0]).startswith("M"):
        shown = DOTTED_CIRCLE + shown
    return shown


def readable(text: str, most: int) -> str:
    """A text as it is shown in a page: spaces stay, all else is as in `visible`.

    Args:
      text: any text, however long.
      most: clusters that are shown.
    """
    beginning = text[: most * 8]  # so that the rest of a very long text costs nothing
    shown = " ".join(visible(part) for part in beginning.split(" "))
    return shorten(shown if len(beginning) == len(text) else f"{shown}…", most)


def shorten(text: str, most: int) -> str:
    """The first clusters of a text and an ellipsis, `most` together, or the text itself."""
    parts = clusters(text)
    return text if len(parts) <= most else "".join(parts[: most - 1]) + "…"


def clusters(text: str) -> list[str]:
    """Cuts a text where no user-perceived character is torn.

    An approximation of the extended grapheme clusters of UAX #29: marks, emoji
    sequences and flags hold together; conjoining Hangul letters do not.
    """
    found: list[str] = []
    for character in text:
        if found and _continues(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
    return found


def is_ignorable(character: str) -> bool:
    """Whether a character draws nothing, so that no font needs to know it."""
    return (
        unicodedata.category(character) == "Cf"
        or character == "\N{COMBINING GRAPHEME JOINER}"
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def is_emoji(cluster: str) -> bool:
    """Whether a cluster asks to be drawn as an emoji."""
    if "\ufe0e" in cluster:
        return False
    return "\ufe0f" in cluster or any(0x1F000 <= ord(c) <= 0x1FAFF for c in cluster)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs":
        return OPEN_BOX
    if character < " ":
        return chr(0x2400 + ord(character))
    if character == "\x7f":
        return "\N{SYMBOL FOR DELETE}"
    if category in ("Cc", "Cs", "Zl", "Zp") or character in _DIRECTION_CONTROLS:
        return _number(character)
    if ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef":
        return _number(character)  # a noncharacter
    return character


def _number(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _continues(cluster: str, character: str) -> bool:
    code = ord(character)
    if code in _REGIONAL:
        return len(cluster) == 1 and ord(cluster) in _REGIONAL
    return (
        unicodedata.category(character).startswith("M")
        or character in (_JOINER, "\u200c")
        or (cluster.endswith(_JOINER) and is_emoji(cluster))
        or code in _SKIN_TONES
        or code in _TAGS
    )
