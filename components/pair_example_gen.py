"""PairExampleGen: files of text pairs in, split tf.Examples and rejected rows out."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx.components.example_gen import driver, input_processor
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import proto_utils

from ..models import features
from .artifacts import RejectedPairs
from .code_digest import code_digest
from .data_config import DataConfig, files_of
from .errors import PipelineError
from .ingestion import Place, ReadFiles, rejected_as_json
from .splits import SPLITS, SplitShares, split_key, split_of

COUNTS = "counts.json"
REJECTED = "rejected.jsonl"


class PairExampleGenSpec(ComponentSpec):
    """As TFX's file-based ExampleGen, with the rejected rows as a second output."""

    PARAMETERS = {
        **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
        "data": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        standard_component_specs.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples),
        "rejected": ChannelParameter(type=RejectedPairs),
    }


class MakeExamples(beam.DoFn):
    """Turns all pairs of a source into Examples, each into the output of its split.

    Every pair is an Example of its own, but in the test split, where a source
    is decoded once and compared with all of its references.
    """

    def __init__(self, shares: SplitShares):
        self._shares = shares

    def process(self, group: tuple[str, Iterable[Place]]) -> Iterator[Any]:
        source, places = group
        # Of one place several targets may come, in an order of their own.
        rows = sorted(places, key=lambda place: place[:2])
        references = list(dict.fromkeys(target for _, _, target, _ in rows))
        # A source of several groups goes where the first of them goes.
        split = split_of(split_key(source, rows[0][3], self._shares), self._shares)
        for _, _, target, extra in rows[:1] if split == features.TEST else rows:
            example = tf.train.Example()
            for name, values in (
                (features.SOURCE, [source]),
                (features.TARGET, [target]),
                (features.REFERENCES, references),
                *((name, [value]) for name, value in extra),
            ):
                encoded = [value.encode() for value in values]
                example.features.feature[name].bytes_list.value.extend(encoded)
            yield beam.pvalue.TaggedOutput(split, example.SerializeToString(deterministic=True))


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs the ingestion."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the examples of each split, the rejected rows and the counts.

        Raises:
          PipelineError: a file cannot be read, nothing was kept, or a split got
            nothing.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = DataConfig.model_validate_json(exec_properties["data"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        rejected = artifact_utils.get_single_instance(output_dict["rejected"])
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        input_config = example_gen_pb2.Input()
        proto_utils.json_to_proto(exec_properties["input_config"], input_config)
        # The driver has filled in the span and the version.
        config = config.with_patterns([split.pattern for split in input_config.splits])
        files = files_of(config)

        scratch = os.path.join(rejected.uri, "scratch")
        with self._make_beam_pipeline() as pipeline:
            rows = pipeline | ReadFiles(files, config)
            by_split = (
                rows.pairs
                | "BySource" >> beam.GroupByKey()
                | "MakeExamples" >> beam.ParDo(MakeExamples(config.splits)).with_outputs(*SPLITS)
            )
            for split in SPLITS:
                prefix = os.path.join(
                    artifact_utils.get_split_uri([examples], split), "data_tfrecord"
                )
                _ = by_split[split] | f"Write_{split}" >> beam.io.WriteToTFRecord(
                    prefix, file_name_suffix=".gz"
                )
                _write_count(by_split[split], scratch, f"examples_{split}")
            _write_count(rows.pairs, scratch, "accepted")
            _ = (
                rows.rejected
                | "AsJson" >> beam.Map(rejected_as_json)
                | "WriteRejected"
                >> beam.io.WriteToText(os.path.join(rejected.uri, REJECTED), shard_name_template="")
            )
            _ = (
                rows.rejected
                | "Reasons" >> beam.Map(reason_of_row)
                | "CountReasons" >> beam.combiners.Count.PerElement()
                | "ReasonsToDict" >> beam.combiners.ToDict()
                | "ReasonsAsJson" >> beam.Map(json.dumps)
                | "WriteReasons"
                >> beam.io.WriteToText(os.path.join(scratch, "rejected"), shard_name_template="")
            )

        counts = self._counts(scratch)
        with fileio.open(os.path.join(rejected.uri, COUNTS), "w") as file:
            file.write(json.dumps(counts, indent=2))
        fileio.rmtree(scratch)
        _require_data(counts, ", ".join(config.patterns))

    @staticmethod
    def _counts(scratch: str) -> dict[str, Any]:
        def read(name: str) -> Any:
            with fileio.open(os.path.join(scratch, name)) as file:
                return json.loads(file.read())

        reasons = dict(sorted(read("rejected").items()))
        accepted = read("accepted")
        return {
            "read": accepted + sum(reasons.values()),
            "accepted": accepted,
            "rejected": reasons,
            "examples": {split: read(f"examples_{split}") for split in SPLITS},
        }


def reason_of_row(row: tuple[Any, ...]) -> str:
    """Why a row was rejected."""
    return str(row[0])


def _write_count(rows: beam.PCollection, folder: str, name: str) -> None:
    _ = (
        rows
        | f"Count_{name}" >> beam.combiners.Count.Globally()
        | f"WriteCount_{name}"
        >> beam.io.WriteToText(os.path.join(folder, name), shard_name_template="")
    )


def _require_data(counts: dict[str, Any], pattern: str) -> None:
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in counts["rejected"].items()) or "none"
    if not counts["accepted"]:
        raise PipelineError(
            f"data.input: no pair was kept of {pattern}: {counts['read']:,} rows read, "
            f"rejected: {reasons}."
        )
    for split, number in Counter(counts["examples"]).items():
        if not number:
            raise PipelineError(
                f"data.splits: the {split} split got no pair of the {counts['accepted']:,} kept "
                f"of {pattern} (rejected: {reasons}). Give more pairs or that split a larger share."
            )


class Driver(driver.FileBasedDriver):
    """TFX's own, for inputs that need not lie in one folder.

    It looks at the files that each pattern matches, so that a changed file is a
    changed input, and fills in the newest span and version.
    """

    def get_input_processor(
        self, splits: Any, range_config: Any = None, input_base_uri: str | None = None
    ) -> input_processor.FileBasedInputProcessor:
        return input_processor.FileBasedInputProcessor("", splits, range_config)


class PairExampleGen(base_beam_component.BaseBeamComponent):
    """Ingests text pairs.

    Outputs `examples` (splits train, validation and test of tf.Examples with
    `source`, `target` and `references`) and `rejected` (every line that was
    not kept with its reason, and the counts).

    Args:
      config: the `data` section.
    """

    SPEC_CLASS = PairExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, config: DataConfig):
        input_config = example_gen_pb2.Input(
            splits=[
                example_gen_pb2.Input.Split(name=f"input_{number}", pattern=pattern)
                for number, pattern in enumerate(config.patterns)
            ]
        )
        shares = config.splits
        output_config = example_gen_pb2.Output(
            split_config=example_gen_pb2.SplitConfig(
                splits=[
                    example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=share)
                    for name, share in zip(
                        SPLITS, (shares.train, shares.validation, shares.test), strict=True
                    )
                ]
            )
        )
        super().__init__(
            spec=PairExampleGenSpec(
                input_base="",
                input_config=input_config,
                output_config=output_config,
                output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
                output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
                data=config.model_dump_json(),
                code_digest=code_digest(__name__),
                examples=types.Channel(type=standard_artifacts.Examples),
                rejected=types.Channel(type=RejectedPairs),
            )
        )
