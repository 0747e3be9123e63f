"""The rules of the gate: thresholds, and non-inferiority to the last blessed model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ..models import features
from ..models.configuration import Section
from .bootstrap import figures, holm, interval, is_small, p_value, resample, upper_bound
from .evaluation import Evaluation
from .export_cost import Cost
from .metrics import MEASURES, MetricName
from .sentences import BASELINE, CANDIDATE, Statistics
from .slices import SET

# What a working model keeps to, whatever its task; a threshold of its own takes the place.
BROKEN_BEYOND = {"empty_rate": 0.05, "repetition_rate": 0.2}
WHOLE = "test split"
EXPORT = "export"  # what a limit of cost is about


class Bounds(Section):
    """Where a metric must lie."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bound_something(self) -> Bounds:
        if self.min is None and self.max is None:
            raise ValueError("expected min, max or both, received neither")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(
                f"expected min of at most max ({self.max:g}), received {self.min:g}: "
                "no model could pass"
            )
        return self


Margins = dict[MetricName, Annotated[float, Field(ge=0)]]


class GateConfig(Section):
    """The `gate` section: what a model must reach to be blessed."""

    # A first model has nothing else to be judged by, so there must be one.
    thresholds: Annotated[dict[MetricName, Bounds], Field(min_length=1)]
    # The upper confidence bound of how much worse than the last blessed model a metric is,
    # in its own units, must be below this.
    max_loss: Margins = {}
    # The same in slices: by a dimension (each of its slices), or 'dimension=label'; of
    # several dimensions with commas between them.
    critical: dict[str, Margins] = {}
    # What the exported model may take: all its files, and the median of one sentence.
    max_size_mb: Annotated[float, Field(gt=0)] | None = None
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    smallest_slice: Annotated[int, Field(ge=2)] = 100  # sentences that can decide
    resamples: Annotated[int, Field(ge=100)] = 1000
    seed: Annotated[int, Field(ge=0)] = 1

    @property
    def all_thresholds(self) -> dict[str, Bounds]:
        """Those of the configuration, and those that hold for every task."""
        named = {str(name): bounds for name, bounds in self.thresholds.items()}
        others = {name: Bounds(max=bound) for name, bound in BROKEN_BEYOND.items()}
        return named | {name: bounds for name, bounds in others.items() if name not in named}


class Rule(NamedTuple):
    """One rule of the gate and what came of it."""

    rule: str  # in words
    kind: str  # 'threshold', 'non-inferiority' or 'cost'
    metric: str
    slice: str  # `WHOLE`, 'dimension=label', or `EXPORT`
    sentences: int
    figure: float  # of a comparison, the loss: positive where the candidate is worse
    limit: float  # the threshold, or the margin
    bound: float | None  # the upper confidence bound of the loss
    confidence: float | None  # of that bound, Holm's correction included
    p_value: float | None
    passed: bool
    note: str = ""  # why it did not pass, where the figures do not tell


def judge(
    config: GateConfig,
    candidate: Evaluation,
    statistics: Statistics | None = None,
    cost: Cost | None = None,
) -> list[Rule]:
    """Applies every rule; a figure that is no number passes none.

    Args:
      config: the rules.
      candidate: the figures of the whole test split.
      statistics: of both models on the same sentences; without a baseline in it, or
        None, the thresholds alone decide.
      cost: of the exported model; what was not measured is within no limit.
    """
    rules = _thresholds(config, candidate)
    if statistics and BASELINE in statistics.measures:
        rules += comparisons(config, statistics)
    return rules + _costs(config, cost or Cost())


def comparisons(config: GateConfig, statistics: Statistics) -> list[Rule]:
    """The rules that compare two models, on the whole test split and in critical slices.

    Args:
      config: the rules.
      statistics: of the candidate and what it is compared with, on the same sentences.
    """
    level = 1 - config.confidence
    whole = statistics.where(SET, features.TEST)
    rules = []
    for metric, margin in config.max_loss.items():
        losses = resampled_losses(whole, metric, config)
        rules.append(_comparison(metric, margin, WHOLE, whole, losses, level))
    return rules + _critical(config, statistics, level)


def _thresholds(config: GateConfig, candidate: Evaluation) -> list[Rule]:
    rules = []
    for name, bounds in config.all_thresholds.items():
        figure = candidate.metrics[name]
        for sign, limit in ((">=", bounds.min), ("<=", bounds.max)):
            if limit is not None:
                passed = figure >= limit if sign == ">=" else figure <= limit
                rule = f"{name} {sign} {limit:g}"
                rules.append(
                    Rule(
                        rule, "threshold", name, WHOLE, candidate.examples, figure, limit,
                        bound=None, confidence=None, p_value=None, passed=passed,
                    )
                )  # fmt: skip
    return rules


def _costs(config: GateConfig, cost: Cost) -> list[Rule]:
    rules = []
    for name, figure, sources, limit in (
        ("size_mb", cost.size_mb, 0, config.max_size_mb),
        ("latency_ms", cost.latency_ms, cost.sources, config.max_latency_ms),
    ):
        if limit is not None:
            note = "not measured: no answer in infra validation" if math.isnan(figure) else ""
            rules.append(
                Rule(
                    f"{name} <= {limit:g}", "cost", name, EXPORT, sources, figure, limit,
                    bound=None, confidence=None, p_value=None, passed=figure <= limit, note=note,
                )
            )  # fmt: skip
    return rules


def resampled_losses(statistics: Statistics, metric: str, config: GateConfig) -> np.ndarray:
    """How much worse the candidate is, on the sentences as they are and on resamples.

    Returns:
      [1 + B] losses in the metric's own units; the first is the observed one.
    """
    by_model = {model: of_model[metric] for model, of_model in statistics.measures.items()}
    sums = resample(by_model, config.resamples, config.seed)
    measure = MEASURES[metric]
    losses = {
        model: measure.loss(
            figures(np.vstack([by_model[model].sum(axis=0), sums[model]]), measure.figure)
        )
        for model in by_model
    }
    return losses[CANDIDATE] - losses[BASELINE]


def _critical(config: GateConfig, statistics: Statistics, level: float) -> list[Rule]:
    """The comparisons in slices; Holm's procedure makes them right together."""
    found: dict[tuple[str, str], tuple[float, Statistics]] = {}
    for name, margins in config.critical.items():
        for where, part in statistics.named(name).items():
            for measure, margin in margins.items():
                key = (where, str(measure))
                if key not in found or margin < found[key][0]:  # of several, the strictest holds
                    found[key] = (margin, part)

    losses: dict[tuple[str, str], np.ndarray] = {}
    p_values: dict[tuple[str, str], float] = {}
    for key, (margin, part) in found.items():
        p_values[key] = 1.0  # a slice that cannot decide keeps its place among the hypotheses
        if len(part.slices) >= config.smallest_slice:
            losses[key] = resampled_losses(part, key[1], config)
            p_values[key] = p_value(losses[key][1:], margin)

    rules = []
    for key, step in holm(p_values, level).items():
        (where, metric), (margin, part) = key, found[key]
        if key not in losses:
            rules.append(_undecided(metric, margin, where, part, config.smallest_slice))
            continue
        rule = _comparison(metric, margin, where, part, losses[key], step.level)
        if rule.passed and not step.rejected:
            rule = rule._replace(passed=False, note="another slice, clearer than this, failed")
        rules.append(rule)
    return rules


def _comparison(
    metric: str,
    margin: float,
    where: str,
    statistics: Statistics,
    losses: np.ndarray,
    level: float,
) -> Rule:
    observed, drawn = float(losses[0]), losses[1:]
    p = p_value(drawn, margin)
    note = "" if is_small(1 / len(losses), level) else "too few gate.resamples for so many slices"
    if math.isnan(observed):
        note = f"no number: the export of one of the models does not tell {metric}"
    return Rule(
        _in_words(metric, margin, where), "non-inferiority", metric, where,
        len(statistics.slices), observed, margin,
        bound=upper_bound(drawn, level), confidence=1 - level, p_value=p,
        passed=is_small(p, level), note=note,
    )  # fmt: skip


def _undecided(
    metric: str, margin: float, where: str, statistics: Statistics, smallest: int
) -> Rule:
    number = len(statistics.slices)
    note = f"too small to decide: {number} sentences, gate.smallest_slice is {smallest}"
    return Rule(
        _in_words(metric, margin, where), "non-inferiority", metric, where, number, float("nan"),
        margin, bound=None, confidence=None, p_value=None, passed=False, note=note,
    )  # fmt: skip


def _in_words(metric: str, margin: float, where: str) -> str:
    place = "" if where == WHOLE else f" in {where}"
    return f"{metric}{place} less than {margin:g} worse than the last blessed model"


def metric_intervals(
    statistics: Statistics, config: GateConfig
) -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """The two-sided percentile interval of every figure, of each model, on the test split."""
    whole = statistics.where(SET, features.TEST)
    columns = {
        (model, name): values
        for model, of_model in whole.measures.items()
        for name, values in of_model.items()
    }
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for (model, name), sums in resample(columns, config.resamples, config.seed).items():
        resampled = figures(sums, MEASURES[name].figure)
        found.setdefault(model, {})[name] = interval(resampled, config.confidence)
    return found
