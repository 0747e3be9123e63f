"""The lengths of both sides against each other: a cell for each pair of bins, darker for more."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .picture import GREY, LINE, Color, Label, Picture, Rectangle

CELL = 20.0
LEFT, TOP = 70.0, 34.0
LIGHT: Color = (222, 233, 244)
DARK: Color = (18, 58, 105)


def length_map(title: str, bins: Sequence[str], pairs: Sequence[Sequence[int]]) -> Picture:
    """Draws it; the source's length grows to the right, the target's upwards.

    Args:
      title: above it.
      bins: the names of the bins of both sides.
      pairs: of each bin of the source how many pairs are in each of the target's.
    """
    used = [
        place for place in range(len(bins)) if any(pairs[place]) or any(row[place] for row in pairs)
    ]
    shown = range(used[0], used[-1] + 1) if used else range(0)
    most = max((n for row in pairs for n in row), default=0)
    side = max(1, len(shown)) * CELL
    rectangles = [
        Rectangle(LEFT - 1, TOP, 1, side, LINE), Rectangle(LEFT, TOP + side, side, 1, LINE),
    ]  # fmt: skip
    labels = [Label(title, 0, 20, 15)]
    for place in shown:
        across = LEFT + (place - shown[0]) * CELL
        up = TOP + side - (place - shown[0] + 1) * CELL
        labels.append(Label(bins[place], LEFT - 6, up + CELL - 6, 11, "right"))
        labels.append(Label(bins[place], across + CELL / 2, TOP + side + 14, 9, "middle"))
        for other in shown:
            if number := pairs[place][other]:
                y = TOP + side - (other - shown[0] + 1) * CELL
                told = f"source {bins[place]}, target {bins[other]}: {number:,}"
                part = math.log1p(number) / math.log1p(most)
                rectangles.append(
                    Rectangle(across, y, CELL - 1, CELL - 1, _between(LIGHT, DARK, part), told)
                )
    axis = "source across, target up, in characters; darker is more pairs, by their logarithm"
    labels.append(Label(axis, LEFT, TOP + side + 34, 11, color=GREY))
    words = f"{sum(map(sum, pairs)):,} pairs by the lengths of their sides"
    return Picture(max(560.0, LEFT + side + 20), TOP + side + 44, title, words, rectangles, labels)


def _between(light: Color, dark: Color, part: float) -> Color:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(light, dark, strict=True))
    return red, green, blue
