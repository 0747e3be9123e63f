"""The figures of many sentences, or of many resampled test sets, at once.

What `Measure.figure` gives of each row, without a call for each; a test holds them together.
"""

from __future__ import annotations

import numpy as np

from .measure import Share
from .metrics import MEASURES
from .model_metrics import Quotient

BLEU_ORDER = 4
CHRF_BETA = 2


def figures(metric: str, sums_NS: np.ndarray) -> np.ndarray:
    """The figure of each of N rows.

    Args:
      metric: its name.
      sums_NS: statistics, summed over sentences.

    Returns:
      [N]
    """
    sums_NS = np.asarray(sums_NS, np.float64)
    measure = MEASURES[metric]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if isinstance(measure, Share):
            return np.where(sums_NS[:, 1] != 0, sums_NS[:, 0] / sums_NS[:, 1], 0.0)
        if isinstance(measure, Quotient):
            return sums_NS[:, 0] / sums_NS[:, 1]
        if metric == "perplexity":
            return np.exp(sums_NS[:, 0] / sums_NS[:, 1])
        if metric == "bleu":
            return _bleu(sums_NS)
        if metric in ("chrf", "chrf++"):
            return _chrf(sums_NS)
    rows = [*map(tuple, sums_NS.tolist())]
    known = {row: float(measure.figure(row)) for row in dict.fromkeys(rows)}
    return np.array([known[row] for row in rows], np.float64)


def sentence_figures(metric: str, statistics_NS: np.ndarray) -> np.ndarray:
    """What `Measure.sentence_figure` gives of each row, likewise.

    Args:
      metric: its name.
      statistics_NS: of single sentences.

    Returns:
      [N]
    """
    if metric != "bleu":
        return figures(metric, statistics_NS)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _bleu(np.asarray(statistics_NS, np.float64), alone=True)


def _bleu(sums_NS: np.ndarray, alone: bool = False) -> np.ndarray:
    """sacreBLEU's, with exponential smoothing.

    Where no n-gram of some order is possible it is 0, but of a sentence alone the mean is
    over the orders that are.
    """
    length_N, reference_N = sums_NS[:, 0], sums_NS[:, 1]
    correct_NK = sums_NS[:, 2 : 2 + BLEU_ORDER]
    total_NK = sums_NS[:, 2 + BLEU_ORDER :]
    halvings_NK = np.cumsum(correct_NK == 0, axis=1)
    precision_NK = np.where(correct_NK > 0, correct_NK, 0.5**halvings_NK) / total_NK
    brevity_N = np.where(length_N < reference_N, np.exp(1 - reference_N / length_N), 1.0)
    counted_NK = (total_NK > 0) | (not alone)
    log_NK = np.where(counted_NK, np.log(precision_NK), 0.0)
    score_N = 100 * brevity_N * np.exp(log_NK.sum(axis=1) / counted_NK.sum(axis=1))
    possible_N = ((total_NK > 0).all(axis=1) | alone) & (correct_NK > 0).any(axis=1)
    return np.where(possible_N, score_N, 0.0)


def _chrf(sums_NS: np.ndarray) -> np.ndarray:
    """sacreBLEU's: precision and recall are means over the orders that both sides have."""
    hypothesis_NK, reference_NK, match_NK = (sums_NS[:, i::3] for i in range(3))
    both_NK = (hypothesis_NK > 0) & (reference_NK > 0)
    orders_N = np.maximum(both_NK.sum(axis=1), 1)
    precision_N, recall_N = (
        np.where(both_NK, match_NK / side_NK, 0.0).sum(axis=1) / orders_N
        for side_NK in (hypothesis_NK, reference_NK)
    )
    factor = CHRF_BETA**2
    score_N = (1 + factor) * precision_N * recall_N / (factor * precision_N + recall_N)
    return np.where(precision_N + recall_N > 0, 100 * score_N, 0.0)
