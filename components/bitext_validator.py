"""BitextValidator: the gate that text pairs pass before anything is learned from them."""

from __future__ import annotations

import json
import os
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from ..models import features
from ..report.bitext_page import bitext_page
from .artifacts import BitextReport, RejectedPairs
from .bitext_limits import DataValidationConfig, breaches
from .bitext_statistics import LENGTHS, RATIOS
from .code_digest import code_digest
from .errors import BadData
from .measure_bitext import MeasureBitext
from .pair_example_gen import COUNTS

STATISTICS = "statistics.json"
PAGE = "report.html"


class BitextValidatorSpec(ComponentSpec):
    """Examples and the counts of ingestion in, report out."""

    PARAMETERS = {
        "data_validation": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "rejected": ChannelParameter(type=RejectedPairs),
    }
    OUTPUTS = {"report": ChannelParameter(type=BitextReport)}


def row_of_example(record: bytes, split: str) -> tuple[str, str, str]:
    """A serialized Example as (split, source, target)."""
    feature = tf.train.Example.FromString(record).features.feature
    source, target = (
        feature[name].bytes_list.value[0].decode() for name in (features.SOURCE, features.TARGET)
    )
    return split, source, target


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs the measurement and judges it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the statistics and the page.

        Raises:
          BadData: a limit does not hold; says which, how far, with examples.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        limits = DataValidationConfig.model_validate_json(exec_properties["data_validation"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        ingested = artifact_utils.get_single_uri(input_dict["rejected"])
        folder = artifact_utils.get_single_uri(output_dict["report"])
        with fileio.open(os.path.join(ingested, COUNTS)) as file:
            counts = json.loads(file.read())

        path = os.path.join(folder, STATISTICS)
        with self._make_beam_pipeline() as pipeline:
            splits = []
            for split in artifact_utils.decode_split_names(examples.split_names):
                uri = artifact_utils.get_split_uri([examples], split)
                splits.append(
                    pipeline
                    | f"Read_{split}" >> beam.io.ReadFromTFRecord(os.path.join(uri, "*"))
                    | f"Rows_{split}" >> beam.Map(row_of_example, split)
                )
            _ = (
                splits
                | "AllSplits" >> beam.Flatten()
                | "Measure" >> MeasureBitext()
                | "Write" >> beam.io.WriteToText(path, shard_name_template="")
            )
        with fileio.open(path) as file:
            statistics = json.loads(file.read())
        found = breaches(limits, statistics, counts)
        report = {
            "read": counts["read"],
            "kept": counts["accepted"],
            "rejected": counts["rejected"],
            "examples": {},
            "statistics": statistics,
            "breaches": [breach._asdict() for breach in found],
        }
        with fileio.open(os.path.join(folder, PAGE), "w") as file:
            file.write(bitext_page(report, LENGTHS, RATIOS))
        if found:
            raise BadData("\n".join(map(str, found)))


class BitextValidator(base_beam_component.BaseBeamComponent):
    """Measures text pairs, and stops the run where they are not as they must be.

    Args:
      examples: of `PairExampleGen`.
      rejected: of `PairExampleGen`, for its counts.
      config: the `data_validation` section.
    """

    SPEC_CLASS = BitextValidatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, examples: types.BaseChannel, rejected: types.BaseChannel, config: DataValidationConfig
    ):
        super().__init__(
            spec=BitextValidatorSpec(
                examples=examples,
                rejected=rejected,
                data_validation=config.model_dump_json(),
                code_digest=code_digest(__name__),
                report=types.Channel(type=BitextReport),
            )
        )
