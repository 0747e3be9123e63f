"""Bar charts: one bar for each name, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .picture import GREY, LINE, Color, Label, Picture, Rectangle

BLUE: Color = (46, 103, 168)
WIDTH = 760.0
ROW = 18.0
TOP = 34.0
NAMES = 110.0  # room for the names, and for the numbers at the other side
NUMBERS = 90.0
SIZE = 12.0


class Bar(NamedTuple):
    """A bar and its name."""

    name: str
    value: float


def bar_chart(title: str, bars: Sequence[Bar]) -> Picture:
    """Draws horizontal bars, the first on top; empty ones at both ends are left out.

    Args:
      title: above them.
      bars: none negative.
    """
    filled = [place for place, bar in enumerate(bars) if bar.value]
    shown = bars[filled[0] : filled[-1] + 1] if filled else []
    most = max((bar.value for bar in shown), default=1)
    room = WIDTH - NAMES - NUMBERS
    rectangles, labels = [], [Label(title, 0, 20, 15)]
    for place, bar in enumerate(shown):
        y = TOP + place * ROW
        length = room * bar.value / most
        rectangles.append(Rectangle(NAMES, y, room, ROW - 4, (246, 246, 246)))
        told = f"{bar.name}: {bar.value:,}"
        rectangles.append(Rectangle(NAMES, y, length, ROW - 4, BLUE, told))
        labels.append(Label(bar.name, NAMES - 8, y + ROW - 7, SIZE, "right"))
        labels.append(Label(f"{bar.value:,}", NAMES + length + 6, y + ROW - 7, SIZE, color=GREY))
    rectangles.append(Rectangle(NAMES - 1, TOP - 3, 1, max(1, len(shown)) * ROW, LINE))
    words = "; ".join(f"{bar.name}: {bar.value:,}" for bar in shown) or "nothing"
    height = TOP + max(1, len(shown)) * ROW + 6
    return Picture(WIDTH, height, title, words, rectangles, labels)
