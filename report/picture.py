"""What a picture is made of; `svg` and `png` write the same one.

Lengths are in pixels of the screen, y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Color = tuple[int, int, int]
Anchor = Literal["left", "middle", "right"]

BLACK: Color = (26, 26, 26)
GREY: Color = (95, 95, 95)
PALE: Color = (150, 150, 150)  # signs for space
LINE: Color = (208, 208, 208)


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle; `tooltip` is told by those formats that can."""

    x: float
    y: float
    width: float
    height: float
    fill: Color
    tooltip: str = ""


@dataclass(frozen=True)
class Label:
    """One line of text.

    `anchor` says which end of it is at (x, y), as seen, whatever the direction of the
    text; y is its baseline. It is turned by `angle` degrees about that point, clockwise.
    """

    text: str
    x: float
    y: float
    size: float
    anchor: Anchor = "left"
    angle: float = 0.0
    color: Color = BLACK
    tooltip: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture with what it is, in words, for those who cannot see it."""

    width: float
    height: float
    title: str
    description: str
    rectangles: list[Rectangle] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
