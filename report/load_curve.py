"""The curve of a server under load: latency against the rate of requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .picture import BLACK, GREY, LINE, Color, Label, Picture, Rectangle

WIDTH, HEIGHT = 560.0, 300.0  # of the plot
LEFT, TOP, RIGHT, BOTTOM = 72.0, 60.0, 24.0, 84.0
DOT, SMALL, FONT_SIZE = 8.0, 12.0, 14.0
# Told apart without colour as well: light to dark, as they lie below each other.
COLORS: list[Color] = [(120, 170, 215), (50, 110, 180), (8, 48, 107)]

Place = Callable[[float], float]


class Point(NamedTuple):
    """One rate."""

    rate: float  # requests a second
    latency_ms: dict[str, float]  # by name, such as p50
    refused: float  # share of the requests


def load_curve(points: Sequence[Point], title: str) -> Picture:
    """Draws latencies over rates, both on scales of powers of ten.

    Args:
      points: one at least, with the same names of latencies where there are any.
      title: what was measured.

    Raises:
      ValueError: there is nothing to draw.
    """
    latencies = [value for point in points for value in point.latency_ms.values()]
    if not latencies:
        raise ValueError("expected a rate at which something was answered, received none")
    rates = [point.rate for point in points]
    x_of, rates_told = _scale(min(rates), max(rates), LEFT, LEFT + WIDTH)
    y_of, latencies_told = _scale(min(latencies), max(latencies), TOP + HEIGHT, TOP)
    rectangles, labels = _axes(x_of, rates_told, y_of, latencies_told, title)
    names = sorted({name for point in points for name in point.latency_ms})
    for place, name in enumerate(names):
        color = COLORS[min(place, len(COLORS) - 1)]
        x, y = LEFT + place * 70.0, TOP - 16
        rectangles.append(Rectangle(x, y - DOT, DOT, DOT, color))
        labels.append(Label(name, x + DOT + 4, y, SMALL))
        for point in points:
            if name in point.latency_ms:
                value = point.latency_ms[name]
                told = f"{name}: {value:.1f} ms at {point.rate:g} requests/s"
                dot = x_of(point.rate) - DOT / 2, y_of(value) - DOT / 2, DOT, DOT
                rectangles.append(Rectangle(*dot, color, told))
    for point in points:
        if point.refused:
            y = TOP + HEIGHT + 38
            labels.append(Label(f"{point.refused:.0%}", x_of(point.rate), y, SMALL, "middle"))
    if any(point.refused for point in points):
        labels.append(Label("refused", LEFT - 8, TOP + HEIGHT + 38, SMALL, "right", color=GREY))
    return Picture(
        LEFT + WIDTH + RIGHT,
        TOP + HEIGHT + BOTTOM,
        title,
        "; ".join(_in_words(point) for point in points),
        rectangles,
        labels,
    )


def _axes(
    x_of: Place, rates: list[float], y_of: Place, latencies: list[float], title: str
) -> tuple[list[Rectangle], list[Label]]:
    rectangles = [
        *(Rectangle(LEFT, y_of(value), WIDTH, 1, LINE) for value in latencies),
        *(Rectangle(x_of(value), TOP, 1, HEIGHT, LINE) for value in rates),
    ]
    bottom = TOP + HEIGHT
    labels = [
        Label(title, LEFT, 18, FONT_SIZE, color=BLACK),
        *(Label(f"{v:g}", LEFT - 8, y_of(v) + 4, SMALL, "right", color=GREY) for v in latencies),
        *(Label(f"{v:g}", x_of(v), bottom + 18, SMALL, "middle", color=GREY) for v in rates),
        Label("requests a second", LEFT + WIDTH / 2, bottom + 62, SMALL, "middle", color=GREY),
        Label("latency, ms", 18, TOP + HEIGHT / 2, SMALL, "middle", -90, GREY),
    ]
    return rectangles, labels


def _scale(low: float, high: float, start: float, end: float) -> tuple[Place, list[float]]:
    """Places numbers between powers of ten; gives the numbers to tell as well."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)

    def place(value: float) -> float:
        return start + (math.log10(value) - first) / (last - first) * (end - start)

    steps = (1, 2, 5) if last - first <= 2 else (1,)
    told = [step * 10.0**power for power in range(first, last) for step in steps]
    return place, [*told, 10.0**last]


def _in_words(point: Point) -> str:
    latencies = ", ".join(f"{name} {value:.1f} ms" for name, value in point.latency_ms.items())
    told = f"{point.rate:g} requests/s: {latencies or 'nothing answered'}"
    return f"{told}, {point.refused:.0%} refused" if point.refused else told
