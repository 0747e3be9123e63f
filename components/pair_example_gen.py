"""PairExampleGen: files of text pairs in, split tf.Examples and rejected rows out."""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial
from typing import Any

import apache_beam as beam
from tfx import types
from tfx.components.example_gen import driver, input_processor, utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import proto_utils

from .artifacts import RejectedPairs
from .aside import join_files
from .code_digest import code_digest
from .data_config import (
    DataConfig,
    GivenSplits,
    SpannedData,
    chosen_spans,
    files_of,
    parts_of,
    with_spans,
)
from .errors import BadData
from .gathered import Gather, Merges, gathered
from .ingestion import ReadFiles, check_read, compared_in_part
from .row_lines import (
    Reasons,
    WriteLines,
    add_counts,
    add_reasons,
    examples_of,
    first_of_reasons,
    merge_lines,
    numbers_of,
    rejected_as_json,
    told_rejected,
)
from .spans import Span
from .splits import SPLITS, splitter
from .stopped import keep_files
from .write_examples import ACCEPTED, WRITTEN, WriteExamples

COUNTS = "counts.json"
REJECTED = "rejected.jsonl"
MERGES: Merges = {
    REJECTED: partial(merge_lines, add=add_reasons),
    WRITTEN: add_counts,
}


class PairExampleGenSpec(ComponentSpec):
    """As TFX's file-based ExampleGen, with the rejected rows as a second output."""

    PARAMETERS = {
        **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
        "data": ExecutionParameter(type=str),
        "spans": ExecutionParameter(type=str, optional=True),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        standard_component_specs.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples),
        "rejected": ChannelParameter(type=RejectedPairs),
    }


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
          PipelineError: a file cannot be read.
          BadData: nothing was kept, or a split got nothing.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config: DataConfig = SpannedData.model_validate_json(exec_properties["data"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        rejected = artifact_utils.get_single_instance(output_dict["rejected"])
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        if wanted := exec_properties.get("spans"):  # where no driver runs
            spans = chosen_spans(config, wanted)
            config = with_spans(config, spans)
            examples.set_int_custom_property(utils.SPAN_PROPERTY_NAME, spans[-1].number)
        else:
            input_config = example_gen_pb2.Input()
            proto_utils.json_to_proto(exec_properties["input_config"], input_config)
            # The driver has filled in the span and the version.
            config = config.with_patterns([split.pattern for split in input_config.splits])
        files = files_of(config)

        scratch = os.path.join(rejected.uri, "scratch")
        aside, lines = (os.path.join(scratch, name) for name in ("aside", "lines"))
        folders = {split: artifact_utils.get_split_uri([examples], split) for split in SPLITS}
        for folder in (aside, lines, *folders.values()):
            fileio.makedirs(folder)
        parts = parts_of(files)
        write = WriteExamples(splitter(config.splits, files), folders, parts)
        write_rejected = WriteLines(
            REJECTED, lines, rejected_as_json, first_of_reasons, add_reasons
        )
        with self._make_beam_pipeline() as pipeline:
            rows = pipeline | ReadFiles(files, config, aside, parts)
            _ = (
                rows.pairs | "WriteExamples" >> beam.ParDo(write),
                rows.rejected | "WriteRejected" >> beam.ParDo(write_rejected),
            ) | Gather(scratch, MERGES)
        found = gathered(scratch, MERGES)
        rejected_files, reasons = found[REJECTED]
        join_files(rejected_files, os.path.join(rejected.uri, REJECTED))
        counts = _counts(found[WRITTEN], reasons)
        counts["compared_in_part"] = compared_in_part(aside)
        check_read(aside, counts["read"])
        fileio.rmtree(scratch)
        with fileio.open(os.path.join(rejected.uri, COUNTS), "w") as file:
            file.write(json.dumps(counts, indent=2))
        if fault := _fault(counts, config):
            told = told_rejected(counts["rejected"], counts["rejected_rows"])
            kept = f"All rejected rows: {os.path.join(keep_files(rejected), REJECTED)}"
            raise BadData("\n".join([fault, *(f"  {row}" for row in told), kept]))


def _counts(written: dict[str, int], reasons: Reasons) -> dict[str, Any]:
    accepted, rejected = written.get(ACCEPTED, 0), numbers_of(reasons)
    return {
        "read": accepted + sum(rejected.values()),
        "accepted": accepted,
        "rejected": rejected,
        "rejected_rows": examples_of(reasons),  # the first of each reason
        "examples": {split: written.get(split, 0) for split in SPLITS},
    }


def _fault(counts: dict[str, Any], config: DataConfig) -> str | None:
    """What there is too little of, if so."""
    pattern = ", ".join(config.patterns)
    given = isinstance(config.input, GivenSplits) or config.splits.column is not None
    advice = "it pairs of its own" if given else "more pairs or that split a larger share"
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in counts["rejected"].items()) or "none"
    if not counts["accepted"]:
        return (
            f"data.input: no pair was kept of {pattern}: {counts['read']:,} rows read, "
            f"rejected: {reasons}."
        )
    for split, number in Counter(counts["examples"]).items():
        if not number:
            return (
                f"data.splits: the {split} split got no pair of the {counts['accepted']:,} kept "
                f"of {pattern} (rejected: {reasons}). Give {advice}."
            )
    return None


class Driver(driver.FileBasedDriver):
    """TFX's own, for inputs that need not lie in one folder.

    It looks at the files that each pattern matches, so that a changed file is a
    changed input, and fills in the newest span and version, where the run has not
    chosen the spans itself.
    """

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: Any, component_info: Any
    ) -> dict[str, Any]:
        found = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        spans = SpannedData.model_validate_json(exec_properties["data"]).spans
        if spans:
            newest = Span.parse(spans[-1])
            found[utils.SPAN_PROPERTY_NAME] = newest.number
            found[utils.VERSION_PROPERTY_NAME] = newest.version
        return found

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
      spans: what `chosen_spans` reads, where no driver of TFX's runs.
    """

    SPEC_CLASS = PairExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, config: DataConfig, spans: Any = None):
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
                spans=spans,
                code_digest=code_digest(__name__),
                examples=types.Channel(type=standard_artifacts.Examples),
                rejected=types.Channel(type=RejectedPairs),
            )
        )
