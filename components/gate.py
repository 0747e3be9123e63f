"""Gate: the only component that blesses a model, and says why."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.components.evaluator import constants
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import path_utils

from .artifacts import EvaluatedSentences, GateVerdict
from .code_digest import code_digest
from .evaluation import OVERALL, Evaluation, SliceKey, read_evaluation
from .export_cost import measure_cost
from .judgement import GateConfig, Rule, judge, metric_intervals
from .metrics import ALWAYS
from .sentence_files import read_record, read_statistics
from .sentences import BASELINE, CANDIDATE
from .slices import SET, by_size, slice_name

VERDICT = "verdict.json"


class GateSpec(ComponentSpec):
    """Evaluation in, blessing and verdict out."""

    PARAMETERS = {
        "gate_config": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "sentences": ChannelParameter(type=EvaluatedSentences),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
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
        """Writes the verdict on the figures, and the blessing in TFX's own form."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = GateConfig.model_validate_json(exec_properties["gate_config"])
        uri = artifact_utils.get_single_uri(input_dict["evaluation"])
        evaluated = {model: read_evaluation(uri, model) for model in (CANDIDATE, BASELINE)}
        candidate, baseline = (of_model.get(OVERALL) for of_model in evaluated.values())
        assert candidate is not None

        folder = artifact_utils.get_single_uri(input_dict["sentences"])
        record = read_record(folder)
        statistics = read_statistics(folder, record["measures"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        infra = input_dict.get("infra_blessing")
        cost = measure_cost(
            path_utils.serving_model_path(model.uri),
            artifact_utils.get_single_uri(infra) if infra else None,
        )
        rules = judge(config, candidate, statistics, cost)
        blessed = all(rule.passed for rule in rules)
        verdict = {
            "blessed": blessed,
            "rules": [rule._asdict() for rule in rules],
            "examples": candidate.examples,
            "candidate": candidate.metrics,
            "baseline": baseline.metrics if baseline else None,
            "cost": cost._asdict(),
            "confidence": config.confidence,
            "intervals": metric_intervals(statistics, config),
            "signatures": record["signatures"],
            "slices": _by_slice(evaluated, config.smallest_slice),
        }
        verdict = _without(_untold(candidate, rules), verdict)
        _write(artifact_utils.get_single_uri(output_dict["verdict"]), VERDICT, _to_json(verdict))

        # What InfraValidator refused is never pushed: it is no baseline of the next model, and
        # none begins with it.
        if infra and not model_utils.is_infra_validated(artifact_utils.get_single_instance(infra)):
            blessed = False
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
        _write(blessing.uri, name, "")
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
        blessing.set_string_custom_property(
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
        )


def _untold(candidate: Evaluation, rules: list[Rule]) -> set[str]:
    """What is measured of every model and this one cannot tell, and no rule asks for."""
    asked = {rule.metric for rule in rules}
    silent = {name for name in ALWAYS if math.isnan(candidate.metrics.get(name, 0.0))}
    return silent - asked


def _without(names: set[str], told: Any) -> Any:
    """The same without what has such a key, however deep."""
    if isinstance(told, Mapping):
        return {key: _without(names, value) for key, value in told.items() if key not in names}
    return [_without(names, one) for one in told] if isinstance(told, list) else told


def _by_slice(
    evaluated: dict[str, dict[SliceKey, Evaluation]], smallest: int
) -> list[dict[str, Any]]:
    """The figures of each slice, and whether it is too small to rely on."""
    rows = []

    def order(key: SliceKey) -> list[tuple[str, tuple[int, str]]]:
        return [(name, by_size(label)) for name, label in key]

    for key in sorted(evaluated[CANDIDATE], key=order):
        found = evaluated[CANDIDATE][key]
        if key == OVERALL:
            continue
        labels = dict(key)
        if len(labels) > 1:
            del labels[SET]
        baseline = evaluated[BASELINE].get(key)
        rows.append(
            {
                "slice": slice_name(labels),
                "examples": found.examples,
                "small": found.examples < smallest,
                "candidate": found.metrics,
                "baseline": baseline.metrics if baseline else None,
            }
        )
    return rows


def _to_json(verdict: dict[str, Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
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
      sentences: of `Evaluator`.
      model: the candidate.
      infra_blessing: of `InfraValidator`, which asked the export; for `gate.max_latency_ms`.
      config: the `gate` section.
    """

    SPEC_CLASS = GateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        evaluation: types.BaseChannel,
        sentences: types.BaseChannel,
        model: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        config: GateConfig,
    ):
        super().__init__(
            spec=GateSpec(
                evaluation=evaluation,
                sentences=sentences,
                model=model,
                infra_blessing=infra_blessing,
                gate_config=config.model_dump_json(),
                code_digest=code_digest(__name__),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                verdict=types.Channel(type=GateVerdict),
            )
        )
