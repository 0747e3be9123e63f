"""Where an answer and its reference differ, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from .labels import clusters, readable

MOST = 120  # words of a side that are compared; the rest is told by its number
WORD = 40  # clusters of a word that are shown


class Span(NamedTuple):
    """Words that stand together."""

    text: str
    differs: bool


class Difference(NamedTuple):
    """Both sides, cut where they differ."""

    reference: list[Span]
    hypothesis: list[Span]

    @property
    def between(self) -> str:
        """What stands between spans."""
        return " "


class _ByCharacters(Difference):
    @property
    def between(self) -> str:
        return ""


def closest(references: list[str], text: str) -> str:
    """The reference with most words in common, of those that are compared cheaply."""
    words = set(text.split())

    def far(reference: str) -> float:
        own = set(reference.split())
        return len(words ^ own) / max(1, len(words | own))

    return min(references, key=far, default="")


def difference(reference: str, hypothesis: str) -> Difference:
    """Compares two texts by words, or by characters where neither has two words.

    Args:
      reference: what was expected.
      hypothesis: what came.

    Returns:
      Spans that can be shown: see `labels.readable`.
    """
    sides = [reference.split(), hypothesis.split()]
    between = " "
    if max(map(len, sides)) <= 1:
        sides = [clusters("".join(words)[: MOST * 4]) for words in sides]
        between = ""
    cut = [words[:MOST] for words in sides]
    matcher = SequenceMatcher(None, cut[0], cut[1], autojunk=False)
    spans: tuple[list[Span], list[Span]] = ([], [])
    for kind, a, b, c, d in matcher.get_opcodes():
        for side, words in zip(spans, (cut[0][a:b], cut[1][c:d]), strict=True):
            if words:
                side.append(Span(_joined(words, between), kind != "equal"))
    for side, words in zip(spans, sides, strict=True):
        if len(words) > MOST:
            side.append(Span(f"… {len(words) - MOST} more", False))
    return (Difference if between else _ByCharacters)(*spans)


def _joined(words: Sequence[str], between: str) -> str:
    return between.join(readable(word, WORD) for word in words)
