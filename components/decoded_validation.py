"""A figure of what a model says to the validation split, while it is trained."""

from __future__ import annotations

import numpy as np

from .metrics import MEASURES
from .validation_sample import ValidationSample


class DecodedValidation:
    """Scores the answers to a sample of the validation split.

    They are greedy and their references have been through the tokenizers, so that a
    figure may differ a little from that of Evaluator.

    Args:
      sample: what is answered.
      metric: of `metrics.MEASURES`.
    """

    def __init__(self, sample: ValidationSample, metric: str):
        self._sample, self.metric, self._measure = sample, metric, MEASURES[metric]

    def loss(self, figure: float) -> float:
        """A figure as a loss: larger is worse."""
        return self._measure.loss(figure)

    def __call__(self) -> float:
        """The figure of the model as it is."""
        sums: np.ndarray = np.zeros(1)
        for sentence in self._sample.answers():
            sums = sums + np.asarray(self._measure.statistics(sentence))
        return self._measure.figure(sums.tolist())
