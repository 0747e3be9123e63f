"""Paired bootstrap over sentences: what a difference of two models may be by chance.

Koehn (2004) draws test sets of the same size from the test set, with replacement, and
scores each; sentences count as often as they were drawn, for both models alike. The
draws are those of sacreBLEU's `significance` for the same seed, so the scores are, too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

DRAWN_AT_ONCE = 2_000_000  # sentences, so that memory does not grow with the resamples
ROUNDING = 1e-9  # differences of figures are no more exact, nor is a level such as 1 - 0.9

Key = TypeVar("Key", bound=Hashable)


def resample(
    statistics: Mapping[Key, np.ndarray], resamples: int, seed: int
) -> dict[Key, np.ndarray]:
    """Sums statistics over drawn sentences; each draw is the same for all of them.

    Args:
      statistics: arrays [N, S] of N sentences, S of each its own.
      resamples: how many test sets are drawn, B.
      seed: of the draws.

    Returns:
      Sums [B, S] of each.
    """
    columns = {key: np.asarray(values, np.float64) for key, values in statistics.items()}
    whole = np.concatenate([*columns.values()], axis=1)
    sums = np.concatenate([counts @ whole for counts in _counts(len(whole), resamples, seed)])
    ends = np.cumsum([values.shape[1] for values in columns.values()])
    return dict(zip(columns, np.split(sums, ends[:-1], axis=1), strict=True))


def _counts(sentences: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each sentence is in each drawn test set, [some, sentences] at a time."""
    generator = np.random.default_rng(seed)
    step = max(1, DRAWN_AT_ONCE // sentences)
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        drawn = generator.choice(sentences, size=(rows, sentences), replace=True)
        drawn += np.arange(rows)[:, np.newaxis] * sentences
        counts = np.bincount(drawn.ravel(), minlength=rows * sentences)
        yield counts.reshape(rows, sentences).astype(np.float64)


def figures(sums: np.ndarray, figure: Callable[[list[float]], float]) -> np.ndarray:
    """The figure of each of B sums of statistics [B, S]."""
    return np.array([figure(row) for row in sums.tolist()])


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The two-sided percentile interval of resampled figures [B].

    Args:
      values: as `figures` gives them.
      confidence: from 0 to 1.
    """
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def p_value(losses: np.ndarray, margin: float) -> float:
    """How surprising the losses would be of a model that loses the margin and more.

    The share of resampled losses that reach the margin, the observed test set counted as
    one more of them (Davison and Hinkley, 1997, section 4.2); one that is no number does.

    Args:
      losses: resampled differences [B], positive where the candidate is worse.
      margin: the loss that is too large.
    """
    return float((1 + np.count_nonzero(~(losses < margin - ROUNDING))) / (1 + len(losses)))


def is_small(p: float, level: float) -> bool:
    """Whether a p-value, or what it is at least, is no more than a level."""
    return p <= level + ROUNDING


def upper_bound(losses: np.ndarray, level: float) -> float:
    """The one-sided upper confidence bound of a loss.

    It is below a margin (rounding aside) exactly when `is_small(p_value(losses, margin), level)`.

    Args:
      losses: resampled differences [B].
      level: the error that is allowed, such as 0.05.
    """
    beyond = int(np.floor((level + ROUNDING) * (1 + len(losses)))) - 1
    ordered = np.sort(np.where(np.isnan(losses), np.inf, losses))[::-1]
    return float(ordered[beyond]) if beyond >= 0 else float("inf")


class Step(NamedTuple):
    """One hypothesis in Holm's procedure."""

    level: float  # what its p-value was compared with
    rejected: bool


def holm(p_values: Mapping[Key, float], level: float) -> dict[Key, Step]:
    """Holm's (1979) step-down procedure: all rejections are right together.

    The smallest p-value of k is compared with level / k, the next with
    level / (k - 1), and so on; after the first that is larger none is rejected.

    Args:
      p_values: of each hypothesis.
      level: the chance, at most, that any of the rejections is wrong.
    """
    steps: dict[Key, Step] = {}
    going = True
    for place, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        own = level / (len(p_values) - place)
        going = going and is_small(p_values[key], own)
        steps[key] = Step(own, going)
    return {key: steps[key] for key in p_values}
