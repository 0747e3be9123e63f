"""InfraValidator: a fresh process loads the exported model and answers real requests.

TFX's own knows Docker and Kubernetes only; Pusher takes this one's blessing alike.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from typing import Annotated, Any, NamedTuple

from absl import logging
from pydantic import Field
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from ..models import features
from ..models.configuration import Section
from ..serving import model_check
from .code_digest import code_digest
from .tokenizer_trainer import read_texts

REPORT = "report.json"
# What users send by accident or in malice: each must be answered, with anything.
HOSTILE = ["", " ", "\0", "\u202e", "\U0001f642", "字" * 50, "a" * 10_000, "\n\t"]


class InfraValidationConfig(Section):
    """The `infra_validation` section: how the exported model is tried."""

    requests: Annotated[int, Field(ge=1)] = 20
    timeout_seconds: Annotated[int, Field(ge=1)] = 300


class InfraValidatorSpec(ComponentSpec):
    """Model and examples in, blessing out."""

    PARAMETERS = {
        "infra_config": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class Trial(NamedTuple):
    """What came of trying a model."""

    faults: list[str]
    milliseconds: list[float]  # that each source took alone; empty if there was no answer


def find_faults(model_dir: str, sources: list[str], timeout: int) -> list[str]:
    """All that is wrong with a model: see `try_model`."""
    return try_model(model_dir, sources, timeout).faults


def try_model(model_dir: str, sources: list[str], timeout: int) -> Trial:
    """Tries a model in a process of its own, and tells what is wrong with it and how fast it is.

    Args:
      model_dir: of the SavedModel.
      sources: real requests.
      timeout: seconds that loading and answering may take together.
    """
    alone = sources[: len(sources) // 4 + 1]
    requests = [sources, [], HOSTILE, *([source] for source in alone)]
    try:
        done = subprocess.run(
            # Isolated (-I): no module that lies beside the script stands before TensorFlow's.
            [sys.executable, "-I", model_check.__file__, model_dir],
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return Trial([f"no answer within {timeout} s"], [])
    except subprocess.CalledProcessError as error:
        # What the system ends, as where memory is short, says nothing itself: `error` tells how.
        said = error.stderr.strip()[-2000:] or str(error)
        return Trial([f"the process failed: {said}"], [])
    try:
        result = json.loads(done.stdout)
    except json.JSONDecodeError:
        return Trial([f"the process did not answer in JSON: {done.stdout[:200]!r}"], [])

    faults = []
    if features.EXAMPLES_SIGNATURE not in result["signatures"]:
        faults.append(f"no signature '{features.EXAMPLES_SIGNATURE}', only {result['signatures']}")
    for request, answers in zip(requests, result["answers"], strict=True):
        for signature, outputs in answers.items():
            faults += _faults_of(signature, request, outputs)
    best = [answers[features.SERVING_SIGNATURE].get(features.TEXT) for answers in result["answers"]]
    together, singles = best[0], best[3:]
    for i, (source, single) in enumerate(zip(alone, singles, strict=True)):
        if _has_rows(together, len(sources)) and _has_rows(single, 1) and single[0] != together[i]:
            faults.append(f"{source!r} is answered {single[0]!r} alone, {together[i]!r} in a batch")
    return Trial(faults, result.get("milliseconds", []))


def _has_rows(rows: Any, number: int) -> bool:
    return isinstance(rows, list) and len(rows) == number


def _faults_of(signature: str, request: list[str], outputs: dict[str, Any]) -> list[str]:
    faults = []
    for name in (features.TEXT, features.SCORE, features.LOG_PROB):
        rows: Any = outputs.get(name)
        if not _has_rows(rows, len(request)):
            faults.append(f"{signature}: {len(request)} rows in, '{name}' out: {rows!r}")
        elif name != features.TEXT:
            numbers = [n for row in rows for n in (row if isinstance(row, list) else [row])]
            if not all(math.isfinite(number) for number in numbers):
                faults.append(f"{signature}: '{name}' is not finite: {numbers}")
    return faults


class Executor(base_executor.BaseExecutor):
    """Runs the trial."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the report and blesses the export, or does not."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = InfraValidationConfig.model_validate_json(exec_properties["infra_config"])
        uri = artifact_utils.get_split_uri(input_dict["examples"], features.TEST)
        files = fileio.glob(io_utils.all_files_pattern(uri))
        sources = list(read_texts(files, (features.SOURCE,), config.requests))
        model_dir = path_utils.serving_model_path(
            artifact_utils.get_single_uri(input_dict["model"])
        )
        faults, milliseconds = try_model(model_dir, sources, config.timeout_seconds)
        for fault in faults:
            logging.error("the exported model is not servable: %s", fault)

        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        report = {
            "servable": not faults,
            "requests": len(sources),
            "faults": faults,
            "timed": len(milliseconds),
            "latency_ms": statistics.median(milliseconds) if milliseconds else None,
        }
        with fileio.open(os.path.join(blessing.uri, REPORT), "w") as file:
            file.write(json.dumps(report, indent=2, ensure_ascii=False))
        blessing.set_int_custom_property("blessed", int(not faults))


class InfraValidator(base_component.BaseComponent):
    """Blesses an export that loads and answers.

    Args:
      model: the candidate.
      examples: of `PairExampleGen`; requests are taken from the test split.
      config: the `infra_validation` section.
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        config: InfraValidationConfig,
    ):
        super().__init__(
            spec=InfraValidatorSpec(
                model=model,
                examples=examples,
                infra_config=config.model_dump_json(),
                code_digest=code_digest(__name__),
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
