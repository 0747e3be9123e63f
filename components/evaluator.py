"""Evaluator: TFMA on what the exported model really answers.

TFX's own Evaluator, but that it never blesses: that is the Gate's alone.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import tensorflow_model_analysis as tfma
from pydantic import Field, field_validator
from tfx import types
from tfx.components.evaluator import executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ExecutionParameter
from tfx.utils import json_utils

from ..models import features
from ..models.configuration import Section
from .code_digest import code_digest
from .errors import PipelineError
from .metrics import MEASURES, MetricName, TextMetric

CANDIDATE = "candidate"
BASELINE = "baseline"
EXAMPLE_COUNT = "example_count"


class EvaluationConfig(Section):
    """The `evaluation` section: what is measured on the test split."""

    metrics: Annotated[list[MetricName], Field(min_length=1)] = ["bleu", "chrf"]

    @field_validator("metrics")
    @classmethod
    def _named_once(cls, value: list[MetricName]) -> list[MetricName]:
        if len(set(value)) < len(value):
            raise ValueError(f"expected each metric once, received {value}")
        return value


class EvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """As TFX's, without a blessing."""

    PARAMETERS = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        "code_digest": ExecutionParameter(type=str),
    }
    OUTPUTS = {
        name: channel
        for name, channel in standard_component_specs.EvaluatorSpec.OUTPUTS.items()
        if name != standard_component_specs.BLESSING_KEY
    }


def eval_config(config: EvaluationConfig) -> tfma.EvalConfig:
    """What TFMA is to do: decode by signature, compare text with all references."""
    models = [
        tfma.ModelSpec(
            name=name,
            is_baseline=name == BASELINE,
            model_type="tf_generic",
            signature_name=features.EXAMPLES_SIGNATURE,
            label_key=features.REFERENCES,
        )
        for name in (CANDIDATE, BASELINE)
    ]
    metrics = [
        tfma.MetricConfig(
            class_name=TextMetric.__name__,
            module=TextMetric.__module__,
            config=f'"name": "{name}"',
        )
        for name in config.metrics
    ]
    count = tfma.MetricConfig(class_name="ExampleCount", config=f'"name": "{EXAMPLE_COUNT}"')
    return tfma.EvalConfig(
        model_specs=models,
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[*metrics, count], model_names=[CANDIDATE, BASELINE])
        ],
    )


class Evaluation(NamedTuple):
    """The figures of one model on the test split."""

    examples: int
    metrics: dict[str, float]


def read_evaluation(uri: str, model: str) -> Evaluation | None:
    """Reads the overall figures of a model; None if it was not evaluated there.

    Args:
      uri: of a `ModelEvaluation` artifact.
      model: `CANDIDATE` or `BASELINE`.

    Raises:
      PipelineError: the evaluation holds no figure at all.
    """
    whole = tfma.load_eval_result(uri)
    alone = len(whole.config.model_specs) == 1
    if alone and model == BASELINE:
        return None
    # TFMA drops the name of a model that is evaluated alone.
    result = whole if alone else tfma.load_eval_result(uri, model_name=model)
    for slice_key, outputs in result.slicing_metrics:
        if slice_key == ():
            figures = {
                name: float(value["doubleValue"])
                for name, value in outputs[""][""].items()
                # Beside a baseline TFMA adds the differences; the gate takes its own.
                if name in (EXAMPLE_COUNT, *MEASURES)
            }
            return Evaluation(int(figures.pop(EXAMPLE_COUNT)), figures)
    raise PipelineError(f"{uri} holds no evaluation of the {model} model")


class Evaluator(base_beam_component.BaseBeamComponent):
    """Measures the exported model, and the baseline beside it, on the test split.

    Args:
      examples: of `PairExampleGen`.
      schema: of the examples.
      model: the candidate.
      baseline_model: the last blessed model, if there is one.
      config: the `evaluation` section.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        config: EvaluationConfig,
    ):
        super().__init__(
            spec=EvaluatorSpec(
                examples=examples,
                schema=schema,
                model=model,
                baseline_model=baseline_model,
                eval_config=eval_config(config),
                example_splits=json_utils.dumps([features.TEST]),
                fairness_indicator_thresholds=json_utils.dumps(None),
                code_digest=code_digest(__name__),
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
            )
        )
