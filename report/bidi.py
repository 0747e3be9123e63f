"""The order in which the characters of a label are seen.

The Unicode bidirectional algorithm (UAX #9) for one line of `labels.visible` text,
which has no explicit direction controls and no white space. Left out is N0: a
bracket takes the direction around it, and not that of its partner.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import groupby

_NEUTRAL = ("B", "S", "WS", "ON")


def is_right_to_left(text: str) -> bool:
    """Whether the first character with a direction goes from right to left (P2, P3)."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def levels(text: str) -> list[int]:
    """The embedding level of each character: odd is right to left.

    Args:
      text: its base direction is that of its first character with one.
    """
    base = int(is_right_to_left(text))
    outside = "R" if base else "L"
    kinds = _weak([unicodedata.bidirectional(c) or "L" for c in text], outside)
    kinds = _neutral(kinds, outside)
    if base:  # I2
        return [1 if kind == "R" else 2 for kind in kinds]
    return [{"L": 0, "R": 1}.get(kind, 2) for kind in kinds]  # I1


def visual_order(level_of: list[int]) -> list[int]:
    """Indices of items in the order in which they are seen, from the left (L2).

    Args:
      level_of: the level of each item, in the order in which they are read.
    """
    order = list(range(len(level_of)))
    for lowest in range(max(level_of, default=0), 0, -1):
        turned: list[int] = []
        keyed = [(level_of[item] >= lowest, item) for item in order]
        for reverse, pairs in groupby(keyed, lambda pair: pair[0]):
            run = [item for _, item in pairs]
            turned += reversed(run) if reverse else run
        order = turned
    return order


def _weak(kinds: list[str], outside: str) -> list[str]:
    """Resolves marks, numbers and what stands between numbers (W1 to W7)."""
    kinds = list(kinds)
    last = strong = outside
    for i, kind in enumerate(kinds):
        if kind in ("NSM", "BN"):  # W1; what draws nothing goes along as well
            kinds[i] = kind = last
        last = kind
        if kind in ("L", "R", "AL"):
            strong = kind
        elif kind == "EN" and strong == "AL":  # W2
            kinds[i] = "AN"
    kinds = ["R" if kind == "AL" else kind for kind in kinds]  # W3
    for i in range(1, len(kinds) - 1):  # W4
        before, kind, after = kinds[i - 1 : i + 2]
        if before == after and (
            (kind in ("ES", "CS") and before == "EN") or (kind == "CS" and before == "AN")
        ):
            kinds[i] = before
    for start, end in _stretches(kinds, ("ET",)):  # W5
        if "EN" in (*kinds[max(start - 1, 0) : start], *kinds[end : end + 1]):
            kinds[start:end] = ["EN"] * (end - start)
    kinds = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in kinds]  # W6
    strong = outside
    for i, kind in enumerate(kinds):  # W7
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[i] = "L"
    return kinds


def _neutral(kinds: list[str], outside: str) -> list[str]:
    """Gives what has no direction that of its neighbours, or else the base's (N1, N2)."""
    kinds = list(kinds)
    for start, end in _stretches(kinds, _NEUTRAL):
        before = kinds[start - 1] if start else outside
        after = kinds[end] if end < len(kinds) else outside
        sides = {"L" if side == "L" else "R" for side in (before, after)}
        kinds[start:end] = [sides.pop() if len(sides) == 1 else outside] * (end - start)
    return kinds


def _stretches(kinds: list[str], wanted: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where the longest stretches of some kinds begin and end."""
    start = 0
    for is_wanted, items in groupby(list(kinds), lambda kind: kind in wanted):
        end = start + len(list(items))
        if is_wanted:
            yield start, end
        start = end
