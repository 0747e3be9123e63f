"""The measures as one metric of TFMA: it adds up statistics that were taken once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from .metrics import MEASURES, sizes

EXAMPLE_COUNT = "example_count"


class TextMetrics(metric_types.Metric):
    """All measures asked for, and how many sentences there are.

    TFMA's prediction is a vector: the number of sentences, and sums of their statistics.

    Args:
      names: of `MEASURES`, in the order of their statistics.
      name: of the metric itself; TFMA's configuration asks for one.
    """

    def __init__(self, names: list[str], name: str = "text_metrics"):
        super().__init__(
            metric_util.merge_per_key_computations(_computations), names=names, name=name
        )


class SumStatistics(beam.CombineFn):
    """Adds up vectors of sums and gives the figure of each measure.

    Args:
      keys: what the count and each figure are called.
      names: of the measures, in the order of their statistics.
      model_name: whose predictions are looked at.
    """

    def __init__(self, keys: Sequence[Any], names: Sequence[str], model_name: str):
        self._keys, self._names, self._model_name = keys, names, model_name
        self._sizes = list(sizes(names).values())

    def create_accumulator(self) -> np.ndarray:
        return np.zeros(1 + sum(self._sizes))

    def add_input(self, accumulator: np.ndarray, extracts: Any) -> np.ndarray:
        return accumulator + np.ravel(extracts.get_predictions(self._model_name))

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        return sum(accumulators, start=self.create_accumulator())

    def extract_output(self, accumulator: np.ndarray) -> dict[Any, float]:
        count, *parts = np.split(accumulator, np.cumsum([1, *self._sizes])[:-1])
        figures = [
            # The figure of nothing is no number.
            MEASURES[name].figure(part.tolist()) if count[0] else float("nan")
            for name, part in zip(self._names, parts, strict=True)
        ]
        return dict(zip(self._keys, [float(count[0]), *figures], strict=True))


def _computations(
    names: list[str], name: str = "", model_name: str = "", output_name: str = "", **_: Any
) -> list[metric_types.MetricComputation]:
    keys = [
        metric_types.MetricKey(name=measure, model_name=model_name, output_name=output_name)
        for measure in (EXAMPLE_COUNT, *names)
    ]
    return [
        metric_types.MetricComputation(
            keys=keys, preprocessors=None, combiner=SumStatistics(keys, names, model_name)
        )
    ]
