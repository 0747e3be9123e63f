"""What is measured, and the figures: the way into TFMA and out of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import tensorflow_model_analysis as tfma
from pydantic import Field, field_validator

from ..models import features
from ..models.configuration import Section
from .errors import PipelineError
from .metrics import ALWAYS, MEASURES, MetricName
from .sentences import BASELINE, Row, vector
from .slices import SET, SOURCE_LENGTH, dimensions_of
from .text_metrics import EXAMPLE_COUNT, TextMetrics

SliceKey = tuple[tuple[str, str], ...]  # dimension and label, sorted
OVERALL: SliceKey = ((SET, features.TEST),)


class EvaluationConfig(Section):
    """The `evaluation` section: what is measured on the test split, and of which parts."""

    metrics: Annotated[list[MetricName], Field(min_length=1)] = ["bleu", "chrf"]
    # source_length, rarest_word, or a column of the data; several with commas between them
    # are every combination of their labels
    slices: list[str] = [SOURCE_LENGTH]
    # Files of pairs by the name of the set: see `challenge_sets`.
    challenge_sets: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], str] = {}

    @field_validator("challenge_sets")
    @classmethod
    def _none_is_the_test_split(cls, value: dict[str, str]) -> dict[str, str]:
        if features.TEST in value:
            raise ValueError(f"expected another name than '{features.TEST}', the split's own")
        return value

    @field_validator("slices")
    @classmethod
    def _each_slice_once(cls, value: list[str]) -> list[str]:
        entries = [dimensions_of(entry) for entry in value]
        for names in entries:
            if len(set(names)) < len(names):
                raise ValueError(f"expected each dimension once, received '{', '.join(names)}'")
        if len({frozenset(names) for names in entries}) < len(entries):
            raise ValueError(f"expected each name once, received {value}")
        return value

    @field_validator("metrics")
    @classmethod
    def _named_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError(f"expected each name once, received {value}")
        return value

    @property
    def dimensions(self) -> list[str]:
        """All by which sentences are divided, alone or together."""
        return list(dict.fromkeys(name for entry in self.slices for name in dimensions_of(entry)))

    @property
    def measured(self) -> list[str]:
        """The metrics asked for, and those that are always measured."""
        return list(dict.fromkeys([*self.metrics, *ALWAYS]))


def eval_config(config: EvaluationConfig, models: Sequence[str]) -> tfma.EvalConfig:
    """What TFMA is to do: sum statistics overall and by slice."""
    metrics = tfma.MetricConfig(
        class_name=TextMetrics.__name__,
        module=TextMetrics.__module__,
        config='"names": [' + ", ".join(f'"{name}"' for name in config.measured) + "]",
    )
    return tfma.EvalConfig(
        # To TFMA the baseline is one more model: the gate takes the differences.
        model_specs=[tfma.ModelSpec(name=name) for name in models],
        slicing_specs=[
            tfma.SlicingSpec(feature_keys=keys)
            for keys in ([SET], *([SET, *dimensions_of(entry)] for entry in config.slices))
        ],
        metrics_specs=[tfma.MetricsSpec(metrics=[metrics], model_names=list(models))],
    )


def to_sums(rows: Iterable[Row], models: Sequence[str]) -> list[tuple[SliceKey, np.ndarray]]:
    """What rows add to each combination of slices that they belong to.

    Returns:
      The slices, and of each model [M] how many sentences, and sums of their statistics.
    """
    found: dict[SliceKey, list[list[list[float]]]] = {}
    for row in rows:
        vectors = [[1.0, *vector(row, model)] for model in models]
        found.setdefault(tuple(sorted(row["slices"].items())), []).append(vectors)
    return [(slices, np.array(vectors).sum(axis=0)) for slices, vectors in found.items()]


def sum_arrays(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Adds up arrays, element by element."""
    return sum(arrays)


def to_extracts(sums: tuple[SliceKey, np.ndarray], models: Sequence[str]) -> dict[str, Any]:
    """The sums of a combination of slices as TFMA takes an example.

    Slices are its features, the sums its prediction. TFMA asks about every example
    in every slice, in Python: sums that others have begun cost it next to nothing.
    """
    labels, values = sums
    predictions = dict(zip(models, values, strict=True))
    return {
        tfma.FEATURES_KEY: {name: np.array([label], object) for name, label in labels},
        tfma.LABELS_KEY: np.zeros(1),
        # TFMA drops the name of a model that is evaluated alone.
        tfma.PREDICTIONS_KEY: predictions if len(models) > 1 else predictions[models[0]],
        tfma.constants.EXAMPLE_WEIGHTS_KEY: np.ones(1),
    }


class Evaluation(NamedTuple):
    """The figures of one model on the test split or a part of it."""

    examples: int
    metrics: dict[str, float]


def read_evaluation(uri: str, model: str) -> dict[SliceKey, Evaluation]:
    """Reads the figures of a model; empty if it was not evaluated there.

    Args:
      uri: of a `ModelEvaluation` artifact.
      model: `CANDIDATE` or `BASELINE`.

    Returns:
      The figures of each slice; `OVERALL` is the whole test split.

    Raises:
      PipelineError: the evaluation holds no figure at all.
    """
    whole = tfma.load_eval_result(uri)
    alone = len(whole.config.model_specs) == 1
    if alone and model == BASELINE:
        return {}
    # TFMA drops the name of a model that is evaluated alone.
    result = whole if alone else tfma.load_eval_result(uri, model_name=model)
    found: dict[SliceKey, Evaluation] = {}
    for slice_key, outputs in result.slicing_metrics:
        figures = {
            name: float(value["doubleValue"])
            for name, value in outputs[""][""].items()
            if name in (EXAMPLE_COUNT, *MEASURES)
        }
        examples = int(figures.pop(EXAMPLE_COUNT, 0))
        if examples:  # TFMA invents empty slices where there is nothing
            found[tuple(sorted(slice_key))] = Evaluation(examples, figures)
    if OVERALL not in found:
        raise PipelineError(f"{uri} holds no evaluation of the {model} model")
    return found
