"""Samples for TensorBoard: what a model says after each epoch, and where it looks."""

from __future__ import annotations

from ..report.fonts import Fonts
from ..report.heat_map import HeatMapError, heat_map
from ..report.png import to_png
from ..report.shaping import Shaper
from .curves import Curves
from .validation_sample import ValidationSample

MOST_TOKENS = 60  # of both sides; a larger picture shows nothing where many are small


class ShownSamples:
    """Writes a table of answers, and a picture of the attention of each.

    Args:
      sample: what is answered.
      curves: where to.
    """

    def __init__(self, sample: ValidationSample, curves: Curves):
        self._sample, self._curves = sample, curves
        self._fonts = Fonts()

    def show(self, step: int) -> None:
        """Answers with the model as it is."""
        rows = [("source", "reference", "answer")]
        for number, one in enumerate(self._sample.explained(), start=1):
            sentence, source_tokens, target_tokens, attention_TS = one
            rows.append((sentence.source, sentence.references[0], sentence.hypothesis))
            if len(source_tokens) + len(target_tokens) > MOST_TOKENS:
                continue
            shaper = Shaper(self._fonts, [*source_tokens, *target_tokens])
            try:
                picture = heat_map(source_tokens, target_tokens, attention_TS, shaper.width)
            except HeatMapError:  # an empty answer, or a model without attention
                continue
            self._curves.picture(step, f"attention/{number}", to_png(picture, self._fonts))
        self._curves.table(step, "answers", rows)
