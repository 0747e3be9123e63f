"""What the dashboard asks of statistics; `components` has it, which this room cannot import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Library(NamedTuple):
    """What whoever starts the dashboard hands over."""

    higher_is_better: Callable[[str], bool]  # of a metric
    figure: Callable[[str, list[float]], float]  # of a metric, of summed statistics
    # Of two systems, statistics [N, S] of each: sums [B, S] of drawn test sets, paired.
    resample: Callable[[list[np.ndarray], int], list[np.ndarray]]
    interval: Callable[[np.ndarray], tuple[float, float]]  # of resampled figures [B]
    ideals: Mapping[str, float]  # of those metrics that can be too large and too small

    def loss(self, metric: str, values: np.ndarray) -> np.ndarray:
        """Figures as losses: larger is worse."""
        if metric in self.ideals:
            return np.abs(values - self.ideals[metric])
        return -values if self.higher_is_better(metric) else values


def figures(library: Library, metric: str, statistics: np.ndarray) -> np.ndarray:
    """The figure of each row of statistics [N, S]; equal rows are computed once."""
    rows = [*map(tuple, statistics.tolist())]
    known = {row: library.figure(metric, [*row]) for row in dict.fromkeys(rows)}
    return np.array([known[row] for row in rows])
