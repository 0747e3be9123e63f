"""Gate: the only component that blesses a model, and says why."""

from __future__ import annotations

import json
import math
import os
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from ..models.configuration import Section
from .artifacts import GateVerdict
from .code_digest import code_digest
from .evaluator import BASELINE, CANDIDATE, Evaluation, read_evaluation
from .metrics import MEASURES, MetricName

VERDICT = "verdict.json"


class Bounds(Section):
    """Where a metric must lie."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bound_something(self) -> Bounds:
        if self.min is None and self.max is None:
            raise ValueError("expected min, max or both, received neither")
        return self


class GateConfig(Section):
    """The `gate` section: what a model must reach to be blessed."""

    # A first model has nothing else to be judged by, so there must be one.
    thresholds: Annotated[dict[MetricName, Bounds], Field(min_length=1)]
    # How much worse than the last blessed model a metric may be, in its own units.
    max_loss: dict[MetricName, Annotated[float, Field(ge=0)]] = {}


class Rule(NamedTuple):
    """One rule of the gate and what came of it."""

    rule: str
    figure: float
    passed: bool


def judge(config: GateConfig, candidate: Evaluation, baseline: Evaluation | None) -> list[Rule]:
    """Applies every rule; a figure that is no number passes none."""
    rules = []
    for name, bounds in config.thresholds.items():
        figure = candidate.metrics[name]
        if bounds.min is not None:
            rules.append(Rule(f"{name} >= {bounds.min:g}", figure, figure >= bounds.min))
        if bounds.max is not None:
            rules.append(Rule(f"{name} <= {bounds.max:g}", figure, figure <= bounds.max))
    if baseline:
        for name, limit in config.max_loss.items():
            change = candidate.metrics[name] - baseline.metrics[name]
            loss = -change if MEASURES[name].higher_is_better else change
            rule = f"{name} at most {limit:g} worse than the last blessed model"
            rules.append(Rule(rule, loss, loss <= limit))
    return rules


class GateSpec(ComponentSpec):
    """Evaluation in, blessing and verdict out."""

    PARAMETERS = {
        "gate_config": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "model": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "verdict": ChannelParameter(type=GateVerdict),
    }


class Executor(base_executor.BaseExecutor):
    """Runs the judgement."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the verdict, and the blessing in TFX's own form."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = GateConfig.model_validate_json(exec_properties["gate_config"])
        uri = artifact_utils.get_single_uri(input_dict["evaluation"])
        candidate = read_evaluation(uri, CANDIDATE)
        assert candidate is not None
        baseline = read_evaluation(uri, BASELINE)
        rules = judge(config, candidate, baseline)
        blessed = all(rule.passed for rule in rules)

        verdict = {
            "blessed": blessed,
            "rules": [rule._asdict() for rule in rules],
            "examples": candidate.examples,
            "candidate": candidate.metrics,
            "baseline": baseline.metrics if baseline else None,
        }
        _write(artifact_utils.get_single_uri(output_dict["verdict"]), VERDICT, _to_json(verdict))

        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
        _write(blessing.uri, name, "")
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
        blessing.set_string_custom_property(
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
        )


def _to_json(verdict: dict[str, Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        # JSON knows no NaN; a figure that is none is null.
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(verdict), indent=2)


def _write(folder: str, name: str, content: str) -> None:
    with fileio.open(os.path.join(folder, name), "w") as file:
        file.write(content)


class Gate(base_component.BaseComponent):
    """Blesses a model, or does not.

    Args:
      evaluation: of `Evaluator`.
      model: the candidate.
      config: the `gate` section.
    """

    SPEC_CLASS = GateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, evaluation: types.BaseChannel, model: types.BaseChannel, config: GateConfig):
        super().__init__(
            spec=GateSpec(
                evaluation=evaluation,
                model=model,
                gate_config=config.model_dump_json(),
                code_digest=code_digest(__name__),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                verdict=types.Channel(type=GateVerdict),
            )
        )
