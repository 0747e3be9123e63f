"""BitextValidator: the gate that text pairs pass before anything is learned from them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from ..models import features
from ..report.bitext_page import bitext_page
from . import measure_bitext
from .artifacts import BitextReport, RejectedPairs
from .bitext_limits import Breach, DataValidationConfig, breaches
from .bitext_statistics import LENGTHS, RATIOS
from .code_digest import code_digest
from .curated_schema import anomalies_told
from .drift import drift
from .errors import BadData
from .gathered import Gather, gathered
from .ingestion import BATCH_ROWS
from .measure_bitext import MeasureBitext, merge_statistics
from .pair_example_gen import COUNTS
from .readers.files import opened
from .readers.tfrecord import records_of
from .stopped import keep_files

STATISTICS = "statistics.json"
PAGE = "report.html"
MERGES = {measure_bitext.STATISTICS: merge_statistics}


class BitextValidatorSpec(ComponentSpec):
    """Examples and the counts of ingestion in, report out."""

    PARAMETERS = {
        "data_validation": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "rejected": ChannelParameter(type=RejectedPairs),
        "previous": ChannelParameter(type=BitextReport, optional=True),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies, optional=True),
    }
    OUTPUTS = {"report": ChannelParameter(type=BitextReport)}


def batches_of_examples(file: tuple[str, str]) -> Iterator[list[tuple[str, str, str]]]:
    """The pairs in a file of a split as batches of (split, source, target)."""
    split, path = file
    # Of the test split an Example has all targets of a source.
    targets = features.REFERENCES if split == features.TEST else features.TARGET
    batch = []
    with opened(path) as stream:
        for record in records_of(stream, path):
            feature = tf.train.Example.FromString(record).features.feature
            source = feature[features.SOURCE].bytes_list.value[0].decode()
            batch += [(split, source, one.decode()) for one in feature[targets].bytes_list.value]
            if len(batch) >= BATCH_ROWS:
                yield batch
                batch = []
    if batch:
        yield batch


def _pairs_in(files: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for batch in chain.from_iterable(map(batches_of_examples, files)):
        for _, source, target in batch:
            yield source, target


def anomalies_of(uri: str) -> list[Breach]:
    """What ExampleValidator found that is not as the schema has it, if anything."""
    found = {}
    for path in fileio.glob(os.path.join(uri, "Split-*", "SchemaDiff.pb")):
        with fileio.open(path, "rb") as file:
            split = os.path.basename(os.path.dirname(path)).removeprefix("Split-")
            found[split] = anomalies_pb2.Anomalies.FromString(file.read())
    return anomalies_told(found)


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
        report = artifact_utils.get_single_instance(output_dict["report"])
        folder = report.uri
        with fileio.open(os.path.join(ingested, COUNTS)) as file:
            counts = json.loads(file.read())

        files = [
            (split, file)
            for split in artifact_utils.decode_split_names(examples.split_names)
            for file in sorted(
                fileio.glob(os.path.join(artifact_utils.get_split_uri([examples], split), "*"))
            )
        ]
        scratch = os.path.join(folder, "scratch")
        fileio.makedirs(scratch)
        with self._make_beam_pipeline() as pipeline:
            measured = (
                pipeline
                | "Files" >> beam.Create(files)
                | "Read" >> beam.FlatMap(batches_of_examples)
                | "Measure" >> MeasureBitext(scratch, limits.near_similarity)
            )
            _ = (measured,) | Gather(scratch, MERGES)
        statistics = gathered(scratch, MERGES)[measure_bitext.STATISTICS]
        fileio.rmtree(scratch)
        if input_dict.get("previous"):
            before = artifact_utils.get_single_uri(input_dict["previous"])
            with fileio.open(os.path.join(before, STATISTICS)) as file:
                statistics["drift"] = drift(statistics, json.loads(file.read()))
        with fileio.open(os.path.join(folder, STATISTICS), "w") as file:
            file.write(json.dumps(statistics, ensure_ascii=False))
        given = {"read": counts["read"], "rejected": counts["rejected"]}
        given["examples"] = counts["rejected_rows"]
        found = breaches(limits, statistics, given, partial(_pairs_in, files))
        if input_dict.get("anomalies"):
            found += anomalies_of(artifact_utils.get_single_uri(input_dict["anomalies"]))
        told = {
            **given,
            "kept": counts["accepted"],
            "compared_in_part": counts["compared_in_part"],
            "statistics": statistics,
            "breaches": [breach._asdict() for breach in found],
        }
        with fileio.open(os.path.join(folder, PAGE), "w") as file:
            file.write(bitext_page(told, LENGTHS, RATIOS))
        if found:
            kept = f"All that was found: {os.path.join(keep_files(report), PAGE)}"
            raise BadData("\n".join([*map(str, found), kept]))


class BitextValidator(base_beam_component.BaseBeamComponent):
    """Measures text pairs, and stops the run where they are not as they must be.

    Args:
      examples: of `PairExampleGen`.
      rejected: of `PairExampleGen`, for its counts.
      config: the `data_validation` section.
      anomalies: of ExampleValidator, where the schema is a curated one.
      previous: the report of the span before, to tell the drift from it.
    """

    SPEC_CLASS = BitextValidatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        rejected: types.BaseChannel,
        config: DataValidationConfig,
        anomalies: types.BaseChannel | None = None,
        previous: types.BaseChannel | None = None,
    ):
        super().__init__(
            spec=BitextValidatorSpec(
                examples=examples,
                rejected=rejected,
                anomalies=anomalies,
                previous=previous,
                data_validation=config.model_dump_json(exclude={"schema_file"}),
                code_digest=code_digest(__name__),
                report=types.Channel(type=BitextReport),
            )
        )
