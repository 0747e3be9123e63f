"""Where an answer and its reference differ, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from typing import NamedTuple

from .labels import clusters, readable

MOST = 120  # words of a side that are compared; the rest is told by its number
MOST_CHARACTERS = 400  # the same where characters are compared
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
    """Compares two texts by words, or by characters where words would not show what differs.

    Of long texts a part is compared, in which the first difference is.

    Args:
      reference: what was expected.
      hypothesis: what came.

    Returns:
      Spans that can be shown: see `labels.readable`.
    """
    sides = [reference.split(), hypothesis.split()]
    between, most = " ", MOST
    if max(map(len, sides)) <= 1 or _hides(set(sides[0]) ^ set(sides[1])):
        sides = [clusters(" ".join(words)) for words in sides]
        between, most = "", MOST_CHARACTERS
    pairs = zip(*sides, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    begin = max(0, same - most // 4) if same >= most and sides[0] != sides[1] else 0
    cut = [words[begin : begin + most] for words in sides]
    matcher = SequenceMatcher(None, cut[0], cut[1], autojunk=False)
    spans: tuple[list[Span], list[Span]] = ([], [])
    for side in spans if begin else ():
        side.append(Span(f"{begin} before … ", False))
    for kind, a, b, c, d in matcher.get_opcodes():
        for side, words in zip(spans, (cut[0][a:b], cut[1][c:d]), strict=True):
            if words:
                side.append(Span(_joined(words, between), kind != "equal"))
    for side, words in zip(spans, sides, strict=True):
        if len(words) > begin + most:
            side.append(Span(f"… {len(words) - begin - most} more", False))
    return (Difference if between else _ByCharacters)(*spans)


def _hides(words: set[str]) -> bool:
    """Whether one of them is cut where it is shown."""
    # Of one character eight stand at most.
    return any(readable(word, WORD) != readable(word, 8 * len(word)) for word in words)


def _joined(words: Sequence[str], between: str) -> str:
    return between.join(readable(word, WORD) for word in words)
