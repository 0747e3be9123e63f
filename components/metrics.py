"""Metrics of generated text for TFMA: sums of sentence statistics, plain floats out.

Each metric is a small `Measure`: statistics of one hypothesis against its
references, added up by Beam, and a figure made of the sums. The statistics of
BLEU and chrF are sacreBLEU's own (Post, 2018), edit distances RapidFuzz's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import apache_beam as beam
import numpy as np
import sacrebleu
from rapidfuzz.distance import Levenshtein
from tensorflow_model_analysis.metrics import metric_types, metric_util

from ..models import features

MetricName = Literal["sequence_error_rate", "token_error_rate", "bleu", "chrf"]


class Measure:
    """A figure of a corpus that sums of sentence statistics determine."""

    higher_is_better = True

    def statistics(self, hypothesis: str, references: Sequence[str]) -> Sequence[float]:
        """The statistics of one sentence; the corpus has their sum."""
        raise NotImplementedError

    def figure(self, sums: Sequence[float]) -> float:
        """The figure of a corpus."""
        raise NotImplementedError


class SequenceErrorRate(Measure):
    """The share of hypotheses that equal none of their references.

    For grapheme-to-phoneme conversion, where a sequence is a word, this is the
    literature's word error rate.
    """

    higher_is_better = False

    def statistics(self, hypothesis: str, references: Sequence[str]) -> Sequence[float]:
        return float(hypothesis not in references), 1.0

    def figure(self, sums: Sequence[float]) -> float:
        return sums[0] / sums[1]


class TokenErrorRate(Measure):
    """Edit distance to the closest reference over its length, in whitespace tokens.

    The word error rate of speech and translation; the phoneme error rate of
    grapheme-to-phoneme conversion.
    """

    higher_is_better = False

    def statistics(self, hypothesis: str, references: Sequence[str]) -> Sequence[float]:
        tokens = hypothesis.split()
        errors, length = min(
            (Levenshtein.distance(tokens, reference), len(reference))
            for reference in (text.split() for text in references)
        )
        return float(errors), float(length)

    def figure(self, sums: Sequence[float]) -> float:
        return sums[0] / max(sums[1], 1.0)


class SacreBleu(Measure):
    """A corpus metric of sacreBLEU, from the sentence statistics it sums itself.

    The statistics are behind underscores there; `test_metrics` holds the
    figures to sacreBLEU's public ones.

    Args:
      metric: sacreBLEU's own object.
    """

    def __init__(self, metric: Any):
        self._metric = metric

    def statistics(self, hypothesis: str, references: Sequence[str]) -> Sequence[float]:
        return self._metric._extract_corpus_statistics([hypothesis], [[r] for r in references])[0]

    def figure(self, sums: Sequence[float]) -> float:
        whole = [round(value) for value in sums]
        return float(self._metric._compute_score_from_stats(whole).score)


MEASURES: dict[str, Measure] = {
    "sequence_error_rate": SequenceErrorRate(),
    "token_error_rate": TokenErrorRate(),
    # `force` only silences a warning about tokenized input.
    "bleu": SacreBleu(sacrebleu.BLEU(force=True)),
    "chrf": SacreBleu(sacrebleu.CHRF()),
}


class TextMetric(metric_types.Metric):
    """A `Measure` as TFMA knows it; its configuration is the measure's name.

    Args:
      name: one of `MEASURES`.
    """

    def __init__(self, name: str):
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


class Sentence(NamedTuple):
    """An evaluated example."""

    hypothesis: str
    references: tuple[str, ...]


def sentence_of(extracts: Any, model_name: str) -> Sentence:
    """Reads a hypothesis and its references out of TFMA's extracts."""
    predictions = extracts.get_predictions(model_name)
    if isinstance(predictions, Mapping):  # all outputs of the signature
        predictions = predictions[features.TEXT]
    (hypothesis,) = _strings(predictions)
    return Sentence(hypothesis, tuple(_strings(extracts.get_labels(model_name))))


def _strings(values: Any) -> list[str]:
    return [value.decode() for value in np.asarray(values, dtype=object).ravel()]


class SumStatistics(beam.CombineFn):
    """Adds up the statistics of a measure and gives its figure."""

    def __init__(self, key: metric_types.MetricKey, measure: str, model_name: str):
        self._key, self._measure, self._model_name = key, measure, model_name

    def create_accumulator(self) -> list[float]:
        return []

    def add_input(self, accumulator: list[float], extracts: Any) -> list[float]:
        sentence = sentence_of(extracts, self._model_name)
        statistics = MEASURES[self._measure].statistics(*sentence)
        return self.merge_accumulators([accumulator, list(statistics)])

    def merge_accumulators(self, accumulators: Iterable[list[float]]) -> list[float]:
        filled = [accumulator for accumulator in accumulators if accumulator]
        return [sum(values) for values in zip(*filled, strict=True)]

    def extract_output(self, accumulator: list[float]) -> dict[metric_types.MetricKey, float]:
        figure = MEASURES[self._measure].figure(accumulator) if accumulator else float("nan")
        return {self._key: figure}


def _computations(
    name: str, model_name: str = "", output_name: str = "", **_: Any
) -> list[metric_types.MetricComputation]:
    key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
    return [
        metric_types.MetricComputation(
            keys=[key],
            preprocessors=None,
            combiner=SumStatistics(key, name, model_name),
        )
    ]
