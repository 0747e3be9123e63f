"""PairExampleGen: files of text pairs in, split tf.Examples and rejected rows out."""

from __future__ import annotations

import bisect
import gzip
import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, Annotated, Any, Literal, cast

import apache_beam as beam
import tensorflow as tf
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from pydantic import Field, field_validator
from tfx import types
from tfx.components.example_gen import driver, utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import proto_utils

from ..models import features
from ..models.configuration import Section
from .artifacts import RejectedPairs
from .code_digest import code_digest
from .errors import PipelineError
from .pair_reader import Rejected, lines_of, read_tsv

COUNTS = "counts.json"
REJECTED = "rejected.jsonl"
SPLITS = (features.TRAIN, features.VALIDATION, features.TEST)

READERS = {"tsv": read_tsv}


class SplitShares(Section):
    """Parts of the whole, by hash of the source: a source is never in two splits."""

    train: Annotated[int, Field(ge=1)] = 90
    validation: Annotated[int, Field(ge=1)] = 5
    test: Annotated[int, Field(ge=1)] = 5


class DataConfig(Section):
    """The `data` section: which pairs the pipeline reads and how it splits them."""

    input: str
    format: Literal["tsv"] = "tsv"
    max_characters: Annotated[int, Field(ge=1)] = 2000
    splits: SplitShares = SplitShares()

    @field_validator("input")
    @classmethod
    def _names_a_file(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("expected a path or a glob pattern, received an empty string")
        return value


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


def split_of(source: str, shares: SplitShares) -> str:
    """The split of a source, the same for every pair that has it and for ever."""
    bounds = [shares.train, shares.train + shares.validation]
    whole = bounds[-1] + shares.test
    bucket = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big") % whole
    return SPLITS[bisect.bisect_right(bounds, bucket)]


class ReadPairs(beam.DoFn):
    """Reads a file; pairs go to the main output, the rest to 'rejected'."""

    def __init__(self, file_format: str, max_characters: int):
        self._format = file_format
        self._max_characters = max_characters

    def process(self, path: str) -> Iterator[Any]:
        try:
            with _open(path) as stream:
                for row in READERS[self._format](lines_of(stream), path, self._max_characters):
                    if isinstance(row, Rejected):
                        yield beam.pvalue.TaggedOutput("rejected", row)
                    else:
                        # A plain tuple: Beam would pickle a named one.
                        yield row.source, (row.file, row.line, row.target)
        except (OSError, EOFError, zlib.error) as error:
            raise PipelineError(f"{path} cannot be read: {error}") from error


def _open(path: str) -> IO[bytes]:
    """Opens a file on any of Beam's filesystems, gzipped if its name says so.

    Beam would decompress by itself, and take a truncated file for a whole one.
    """
    raw = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw)


class MakeExamples(beam.DoFn):
    """Turns all pairs of a source into Examples, each into the output of its split.

    Every pair is an Example of its own, but in the test split, where a source
    is decoded once and compared with all of its references.
    """

    def __init__(self, shares: SplitShares):
        self._shares = shares

    def process(self, group: tuple[str, Iterable[tuple[str, int, str]]]) -> Iterator[Any]:
        source, pairs = group
        targets = [target for _, _, target in sorted(pairs)]
        references = list(dict.fromkeys(targets))
        split = split_of(source, self._shares)
        if split == features.TEST:
            targets = targets[:1]
        for target in targets:
            example = tf.train.Example()
            for name, values in (
                (features.SOURCE, [source]),
                (features.TARGET, [target]),
                (features.REFERENCES, references),
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
        pattern = os.path.join(exec_properties["input_base"], input_config.splits[0].pattern)
        paths = sorted(fileio.glob(pattern))

        scratch = os.path.join(rejected.uri, "scratch")
        with self._make_beam_pipeline() as pipeline:
            rows = (
                pipeline
                | "Files" >> beam.Create(paths)
                | "Spread" >> beam.Reshuffle()
                | "Read"
                >> beam.ParDo(ReadPairs(config.format, config.max_characters)).with_outputs(
                    "rejected", main="pairs"
                )
            )
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
                | "AsJson" >> beam.Map(lambda row: json.dumps(row._asdict(), ensure_ascii=False))
                | "WriteRejected"
                >> beam.io.WriteToText(os.path.join(rejected.uri, REJECTED), shard_name_template="")
            )
            _ = (
                rows.rejected
                | "Reasons" >> beam.Map(lambda row: row.reason)
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
        _require_data(counts, pattern)

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
            f"data.input: no pair was kept of {pattern}: {counts['read']:,} lines read, "
            f"rejected: {reasons}. Expected lines of 'source TAB target' in UTF-8."
        )
    for split, number in Counter(counts["examples"]).items():
        if not number:
            raise PipelineError(
                f"data.splits: the {split} split got no pair of the {counts['accepted']:,} kept "
                f"of {pattern} (rejected: {reasons}). Give more pairs or that split a larger share."
            )


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
    DRIVER_CLASS = driver.FileBasedDriver

    def __init__(self, config: DataConfig):
        folder, pattern = os.path.split(config.input)
        input_config = utils.make_default_input_config(pattern)
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
                input_base=folder or ".",
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
