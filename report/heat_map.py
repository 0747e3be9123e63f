"""The heat map of attention: which source tokens each target token looked at.

As in Bahdanau, Cho and Bengio (2015), figure 3: source tokens are columns, target
tokens rows, both in their logical order whatever the direction of their script.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .labels import shorten, visible
from .picture import BLACK, GREY, LINE, Anchor, Color, Label, Picture, Rectangle

FONT_SIZE = 14.0
SMALL = 12.0
ROW = 26.0
COLUMN = 30.0
WIDEST_LEVEL = 52.0  # source labels that are wider than this are turned,
WIDEST_GRID = 800.0  # or that would make the picture wider than this
ANGLE = -45.0
MOST_CLUSTERS = 24  # of a label; the tooltip has the whole token
MARGIN = 16.0
GAP = 8.0
LEGEND = 160.0
LEGEND_STEPS = 40

# White to dark blue: each channel falls, so that it is monotone in grey as well.
_STOPS = np.array([(255, 255, 255), (198, 219, 239), (74, 144, 200), (8, 48, 107)], float)


class HeatMapError(ValueError):
    """There is no attention to draw."""


def color_of(share: float) -> Color:
    """The colour of a weight, darker for a larger one.

    Args:
      share: of the largest weight of the scale, from 0 to 1.
    """
    place = min(max(share, 0.0), 1.0) * (len(_STOPS) - 1)
    stop = min(int(place), len(_STOPS) - 2)
    mixed = _STOPS[stop] + (place - stop) * (_STOPS[stop + 1] - _STOPS[stop])
    red, green, blue = (round(float(channel)) for channel in mixed)
    return red, green, blue


def strongest(attention_TS: np.ndarray) -> list[int]:
    """The source position that each target token looked at most, the first of equals."""
    return [int(position) for position in attention_TS.argmax(axis=1)]


def heat_map(
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    attention_TS: np.ndarray,
    width_of: Callable[[str], float],
) -> Picture:
    """Draws the attention of one answer.

    Args:
      source_tokens: S tokens, in order.
      target_tokens: T tokens, in order.
      attention_TS: [T, S], the weight of each source token for each target token.
      width_of: the width of a text in ems, as `Shaper.width` gives it; what viewers
        of an SVG make of it may differ.

    Raises:
      HeatMapError: the weights do not belong to the tokens, are no weights, or are all
        zero, which is how a model without attention answers.
    """
    weights_TS = _checked(source_tokens, target_tokens, attention_TS)
    # The scale ends at a tenth; rounding may have taken a weight a little beyond 1.
    most = min(max(math.ceil(float(weights_TS.max()) * 10 - 1e-6), 1), 10) / 10
    source, target = [visible(token) for token in source_tokens], [*map(visible, target_tokens)]
    columns = [shorten(token, MOST_CLUSTERS) for token in source]
    rows = [shorten(token, MOST_CLUSTERS) for token in target]

    column_widths = [width_of(text) * FONT_SIZE for text in columns]
    widest = max(column_widths)
    column = max(COLUMN, widest + GAP)
    turned = widest > WIDEST_LEVEL or (column > COLUMN and len(columns) * column > WIDEST_GRID)
    if turned:
        column = COLUMN
    left = MARGIN + SMALL + GAP + max(width_of(text) for text in rows) * FONT_SIZE + GAP
    slope = math.sin(math.radians(-ANGLE)) if turned else 0.0
    head = max(widest * slope, FONT_SIZE) + GAP
    top = MARGIN + SMALL + GAP + head
    width = len(columns) * column
    # How far the last turned labels reach beyond the columns.
    ends = [(i + 0.5) * column + wide * slope for i, wide in enumerate(column_widths)]
    right = max(left + max(width, *ends), left + LEGEND) + MARGIN
    bottom = top + len(rows) * ROW

    labels = [
        Label("source", left + width / 2, MARGIN + SMALL, SMALL, "middle", color=GREY),
        Label("target", MARGIN + SMALL, (top + bottom) / 2, SMALL, "middle", -90, GREY),
    ]
    for i, (text, token) in enumerate(zip(columns, source, strict=True)):
        x = left + (i + 0.5) * column
        whole = "" if text == token else token
        if turned:
            x += FONT_SIZE / 4
        anchor: Anchor = "left" if turned else "middle"
        angle = ANGLE if turned else 0.0
        labels.append(Label(text, x, top - GAP, FONT_SIZE, anchor, angle, BLACK, whole))
    for i, (text, token) in enumerate(zip(rows, target, strict=True)):
        y = top + (i + 0.5) * ROW + FONT_SIZE * 0.36
        whole = "" if text == token else token
        labels.append(Label(text, left - GAP, y, FONT_SIZE, "right", 0.0, BLACK, whole))

    # The lines between the cells are what is left of a ground below them.
    rectangles = [Rectangle(left - 1, top - 1, width + 1, bottom - top + 1, LINE)]
    for i, weights_S in enumerate(weights_TS.tolist()):
        for j, weight in enumerate(weights_S):
            tooltip = f"target: {target[i]}\nsource: {source[j]}\nweight: {weight:.4f}"
            place = (left + j * column, top + i * ROW, column - 1, ROW - 1)
            rectangles.append(Rectangle(*place, color_of(weight / most), tooltip))

    height = _add_legend(rectangles, labels, left, bottom + GAP * 2, most) + MARGIN
    return Picture(
        right,
        height,
        f"Attention of {len(target)} target tokens over {len(source)} source tokens",
        _in_words(source, target, weights_TS),
        rectangles,
        labels,
    )


def _add_legend(
    rectangles: list[Rectangle], labels: list[Label], left: float, y: float, most: float
) -> float:
    """Adds the scale of colours, from 0 to `most`; gives where it ends."""
    step = LEGEND / LEGEND_STEPS
    rectangles.append(Rectangle(left - 1, y - 1, LEGEND + 2, SMALL + 2, LINE))
    for i in range(LEGEND_STEPS):
        color = color_of(i / (LEGEND_STEPS - 1))
        rectangles.append(Rectangle(left + i * step, y, step, SMALL, color))
    y += SMALL * 2 + GAP / 2
    ticks: list[tuple[float, Anchor]] = [(0.0, "left"), (0.5, "middle"), (1.0, "right")]
    for share, anchor in ticks:
        text = f"{most * share:.2f}".rstrip("0").rstrip(".")
        labels.append(Label(text, left + LEGEND * share, y, SMALL, anchor, 0.0, GREY))
    y += SMALL + GAP / 2
    labels.append(Label("attention weight", left, y, SMALL, color=GREY))
    return y


def _in_words(source: list[str], target: list[str], weights_TS: np.ndarray) -> str:
    """The heat map for those who cannot see it."""
    best = strongest(weights_TS)
    looked = "; ".join(
        f"{token}: {source[best[i]]} {weights_TS[i, best[i]]:.2f}" for i, token in enumerate(target)
    )
    return (
        f"A heat map. Columns, the source: {' '.join(source)}. Rows, each target token with "
        f"the source token that it looked at most and the weight of that: {looked}."
    )


def _checked(
    source_tokens: Sequence[str], target_tokens: Sequence[str], attention_TS: np.ndarray
) -> np.ndarray:
    expected = (len(target_tokens), len(source_tokens))
    weights_TS = np.asarray(attention_TS, dtype=np.float64)
    if weights_TS.shape != expected:
        raise HeatMapError(
            f"expected attention of shape [T, S] = {list(expected)}, "
            f"received {list(weights_TS.shape)}"
        )
    if not weights_TS.size:
        raise HeatMapError("expected at least one source and one target token, received none")
    if not np.isfinite(weights_TS).all():
        raise HeatMapError("expected attention weights, received a value that is not finite")
    if weights_TS.min() < 0 or weights_TS.max() > 1 + 1e-3:
        raise HeatMapError(
            "expected attention weights from 0 to 1, "
            f"received {weights_TS.min():.4g} to {weights_TS.max():.4g}"
        )
    if not weights_TS.any():
        raise HeatMapError("expected attention weights, received zeros alone: there is none")
    return weights_TS
