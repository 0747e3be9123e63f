"""What the dashboard asks of statistics; `components` has it, which this room cannot import."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Library(NamedTuple):
    """What whoever starts the dashboard hands over."""

    # Of a metric, figures as losses: larger is worse.
    loss: Callable[[str, np.ndarray], np.ndarray]
    # Of a metric, of statistics [N, S]: the figure of each row [N], a sum over sentences, or one.
    figures: Callable[[str, np.ndarray], np.ndarray]
    sentence_figures: Callable[[str, np.ndarray], np.ndarray]
    # Of two systems, statistics [N, S] of each: sums [B, S] of drawn test sets, paired.
    resample: Callable[[list[np.ndarray], int], list[np.ndarray]]
    interval: Callable[[np.ndarray], tuple[float, float]]  # of resampled figures [B]
