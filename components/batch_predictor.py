"""BatchPredictor: the pushed model's answers to files of lines, as TFX's BulkInferrer for Examples.

What is answered when a run stops is kept beside the outputs of all executions, as the
checkpoints of a training are, and the next execution with the same files and model goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Annotated, Any

import apache_beam as beam
from absl import logging
from apache_beam.io.filesystems import FileSystems
from pydantic import Field
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from ..models.configuration import Section
from .artifacts import Predictions
from .batch_answers import AnswerFiles, Counts, pieces_in
from .code_digest import code_digest
from .data_config import patterns_of
from .decoding import let_go_of_models
from .errors import PipelineError
from .trainer import CHECKPOINTS

COUNTS = "counts.json"


class PredictionConfig(Section):
    """The `prediction` section: files of lines that each pushed model answers."""

    input: str | Annotated[list[str], Field(min_length=1)]
    nbest: Annotated[int, Field(ge=1)] = 1

    @property
    def patterns(self) -> list[str]:
        """Of the files."""
        return list(patterns_of(self.input))


def stamped_files(patterns: list[str]) -> dict[str, str]:
    """The files that patterns match, sorted, with what changes when their content does."""
    return {
        one.path: f"{one.size_in_bytes} {one.last_updated_in_seconds}"
        for found in FileSystems.match(patterns)
        for one in sorted(found.metadata_list, key=lambda one: one.path)
    }


class BatchPredictorSpec(ComponentSpec):
    """A pushed model in; its answers out."""

    PARAMETERS = {
        "patterns": ExecutionParameter(type=str),
        "nbest": ExecutionParameter(type=int),
        "input_digest": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "pushed_model": ChannelParameter(type=standard_artifacts.PushedModel),
    }
    OUTPUTS = {"predictions": ChannelParameter(type=Predictions)}


class Executor(base_beam_executor.BaseBeamExecutor):
    """Answers what is not answered yet."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the answers and their counts; none where no model was pushed."""
        self._log_startup(input_dict, output_dict, exec_properties)
        predictions = artifact_utils.get_single_uri(output_dict["predictions"])
        fileio.makedirs(predictions)
        pushed = artifact_utils.get_single_instance(input_dict["pushed_model"])
        counts: Counts = 0, 0
        if pushed.get_int_custom_property("pushed"):
            uri = artifact_utils.get_single_uri(input_dict["model"])
            counts = self._answer(uri, predictions, exec_properties)
        told = dict(zip(("answered", "rejected"), counts, strict=True))
        io_utils.write_string_file(os.path.join(predictions, COUNTS), json.dumps(told))

    def _answer(self, uri: str, predictions: str, exec_properties: dict[str, Any]) -> Counts:
        patterns, nbest = json.loads(exec_properties["patterns"]), exec_properties["nbest"]
        files = stamped_files(patterns)
        if not files:
            raise PipelineError(f"prediction.input: expected files, found none at {patterns}")
        # The code as well: pieces of another version may have rows of another form.
        key = json.dumps([uri, nbest, files, exec_properties["code_digest"]]).encode()
        folder = os.path.join(
            os.path.dirname(os.path.dirname(predictions)),
            CHECKPOINTS,
            hashlib.sha256(key).hexdigest()[:16],
        )
        fileio.makedirs(folder)
        if there := pieces_in(folder):
            logging.info("%d pieces were answered before", len(there))
        told = os.path.join(folder, "counts")
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | AnswerFiles([*files], path_utils.serving_model_path(uri), folder, nbest)
                | "AsJson" >> beam.Map(json.dumps)
                | "Write" >> beam.io.WriteToText(told, shard_name_template="")
            )
        let_go_of_models()
        pieces = pieces_in(folder)
        FileSystems.rename(
            pieces, [os.path.join(predictions, os.path.basename(piece)) for piece in pieces]
        )
        counts = json.loads(io_utils.read_string_file(told))
        fileio.rmtree(folder)
        return counts[0], counts[1]


class BatchPredictor(base_beam_component.BaseBeamComponent):
    """Answers files of lines with a model that was pushed.

    Outputs `predictions`: the answers as `answered_lines` has them, in files that sort as
    the lines do, and `counts.json`.

    Args:
      model: the candidate.
      pushed_model: of `Pusher`.
      config: the `prediction` section.
    """

    SPEC_CLASS = BatchPredictorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, model: types.BaseChannel, pushed_model: types.BaseChannel, config: PredictionConfig
    ):
        files = json.dumps(stamped_files(config.patterns)).encode()
        super().__init__(
            spec=BatchPredictorSpec(
                model=model,
                pushed_model=pushed_model,
                patterns=json.dumps(config.patterns),
                nbest=config.nbest,
                input_digest=hashlib.sha256(files).hexdigest()[:16],
                code_digest=code_digest(__name__),
                predictions=types.Channel(type=Predictions),
            )
        )
