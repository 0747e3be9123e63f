"""What the dashboard asks of statistics; `components` has it, which this room cannot import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Library(NamedTuple):
    """What whoever starts the dashboard hands over."""

    higher_is_better: Callable[[str], bool]  # of a metric
    # Of a metric, of statistics [N, S]: the figure of each row [N], a sum over sentences, or one.
    figures: Callable[[str, np.ndarray], np.ndarray]
    sentence_figures: Callable[[str, np.ndarray], np.ndarray]
    # Of two systems, statistics [N, S] of each: sums [B, S] of drawn test sets, paired.
    resample: Callable[[list[np.ndarray], int], list[np.ndarray]]
    interval: Callable[[np.ndarray], tuple[float, float]]  # of resampled figures [B]
    ideals: Mapping[str, float]  # of those metrics that can be too large and too small

    def loss(self, metric: str, values: np.ndarray) -> np.ndarray:
        """Figures as losses: larger is worse."""
        if metric in self.ideals:
            return np.abs(values - self.ideals[metric])
        return -values if self.higher_is_better(metric) else values
