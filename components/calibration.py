"""How far apart trainings are that differ in their seed alone, and what the gate makes of it.

A bootstrap over sentences sees the noise of a test set, and not that of training. So a
margin of the gate should leave room for both: of models that are equally good, few should
be held back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, Context
from typing import NamedTuple

import numpy as np

from .bootstrap import ROUNDING, figures, resample, upper_bound
from .judgement import GateConfig
from .metrics import MEASURES


class Calibration(NamedTuple):
    """What was found of a metric."""

    metric: str
    figures: list[float]  # of each training
    pairs: int  # of a candidate and a baseline, each training in both places
    alarms: float | None  # the share that the gate would hold back; None without a margin
    margin: float | None  # `gate.max_loss` as it is
    # The smallest margin of two digits that lets as many pass as the gate is confident;
    # None where some figures are no number, and none does.
    suggested: float | None


def calibrate(statistics: Mapping[int, np.ndarray], metric: str, config: GateConfig) -> Calibration:
    """Compares every training with every other, as the gate would.

    Args:
      statistics: by seed, of the same sentences in the same order [N, S].
      metric: of which they are the statistics.
      config: of the gate: confidence, resamples, seed and margins.

    Raises:
      ValueError: there are fewer than two trainings.
    """
    if len(statistics) < 2:
        raise ValueError(f"expected two trainings or more, received {len(statistics)}")
    measure, level = MEASURES[metric], 1 - config.confidence
    cost = {
        seed: measure.loss(figures(sums, measure.figure))
        for seed, sums in resample(statistics, config.resamples, config.seed).items()
    }
    bounds = np.array(
        [
            upper_bound(cost[candidate] - cost[baseline], level)
            for candidate in cost
            for baseline in cost
            if candidate != baseline
        ]
    )
    margin = {str(name): value for name, value in config.max_loss.items()}.get(metric)
    return Calibration(
        metric=metric,
        figures=[measure.figure(values.sum(axis=0).tolist()) for values in statistics.values()],
        pairs=len(bounds),
        alarms=None if margin is None else float(np.mean(~_passes(bounds, margin))),
        margin=margin,
        suggested=_above(float(np.quantile(bounds, config.confidence, method="higher"))),
    )


def _passes(bound: np.ndarray | float, margin: float) -> np.ndarray:
    """Whether the gate lets pass what has such a bound: `p_value` rounds so, too."""
    return np.less(bound, margin - ROUNDING)


def _above(bound: float) -> float | None:
    """The smallest margin of two digits that a bound passes: as it is printed, it works."""
    if not math.isfinite(bound):
        return None
    digits = Context(prec=2, rounding=ROUND_CEILING)
    margin = digits.create_decimal(max(bound, 0.0) + ROUNDING)
    while not _passes(bound, float(margin)):
        margin = margin.next_plus(digits)
    return float(margin)
