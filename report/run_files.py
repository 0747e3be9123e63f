"""Reads what a run's page draws from the files that the run left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .charts import Epoch
from .fonts import Fonts
from .heat_map import HeatMapError, heat_map
from .picture import Picture
from .shaping import Shaper

WIDEST = 40  # tokens of an attention picture's longer side
WIDEST_ALONE = 120  # where it is what one asked for
DAMAGED = (ValueError, KeyError, TypeError)  # a file of JSON, cut short or of something else


def read_epochs(history: Path) -> list[Epoch]:
    """The losses of each epoch, from the record of a training; none from a damaged one."""
    try:
        epochs = json.loads(history.read_text())["epochs"]
        return [Epoch(epoch["loss"], epoch.get("val_loss")) for epoch in epochs]
    except DAMAGED:
        return []


def read_pictures(file: Path) -> list[Picture]:
    """Heat maps of the attention that Evaluator kept, of those that can be drawn small."""
    pictures = []
    for line in file.read_bytes().splitlines():
        try:
            found: dict[str, Any] = json.loads(line)
            sides = found["source_tokens"], found["target_tokens"]
            if max(map(len, sides)) <= WIDEST and (drawn := draw(*sides, found["attention"])):
                pictures.append(drawn)
        except DAMAGED:
            continue
    return pictures


def draw(
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    attention_TS: np.ndarray,
) -> Picture | None:
    """A heat map with the fonts of this machine; None where there is no attention to draw.

    Args:
      source_tokens: S tokens.
      target_tokens: T tokens.
      attention_TS: [T, S] weights.
    """
    shaper = Shaper(_fonts(), [*source_tokens, *target_tokens])
    try:
        return heat_map(source_tokens, target_tokens, np.asarray(attention_TS), shaper.width)
    except HeatMapError:
        return None


def draw_or_tell(
    source_tokens: Sequence[str], target_tokens: Sequence[str], attention_TS: np.ndarray
) -> tuple[Picture | None, str]:
    """As `draw`, of what one asked for; beside it why there is no picture, where there is none."""
    longer = max(len(source_tokens), len(target_tokens))
    if longer > WIDEST_ALONE:
        return None, (
            f"Attention is not drawn: the longer side has {longer:,} tokens, "
            f"and a picture of more than {WIDEST_ALONE} cannot be read."
        )
    if not np.any(attention_TS):
        return None, "There is no attention to draw: the model has none."
    drawn = draw(source_tokens, target_tokens, attention_TS)
    return drawn, "" if drawn else "Attention cannot be drawn: not all weights are from 0 to 1."


@cache
def _fonts() -> Fonts:
    return Fonts()
