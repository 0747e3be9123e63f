"""Evaluator: TFMA on what the exported model really answers.

Each source of the test split is decoded once, with the candidate and the baseline, in
batches. What came is kept sentence by sentence, with the statistics of every metric;
TFMA sums those, overall and by slice. Nothing is blessed here: that is the Gate's alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_model_analysis as tfma
from apache_beam.utils.shared import Shared
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from ..models import features
from .artifacts import EvaluatedSentences
from .batched_examples import BatchedExamples
from .challenge_sets import digest_of, read_challenge_sets
from .code_digest import code_digest
from .decoding import DecodeOnce, ExplainSome, let_go_of_models
from .errors import PipelineError
from .evaluation import EvaluationConfig, eval_config, sum_arrays, to_extracts, to_sums
from .model_metrics import FORCED
from .sentence_files import (
    ATTENTION,
    PREFIX,
    RECORD,
    SUFFIX,
    schema_of,
    to_table,
    write_words,
)
from .sentences import BASELINE, CANDIDATE, Row, Rows, compare, make_record, new_row
from .slices import (
    RAREST_WORD,
    SET,
    SOURCE_LENGTH,
    count_words,
    length_label,
    rarity_label,
    words_of,
)
from .tokenizer_trainer import read_texts

EXPLAINED = 2  # sentences of which the attention is kept


class EvaluatorSpec(ComponentSpec):
    """Models and examples in, figures and sentences out."""

    PARAMETERS = {
        "evaluation_config": ExecutionParameter(type=str),
        "challenge_digest": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "sentences": ChannelParameter(type=EvaluatedSentences),
    }


class ReadRows(beam.DoFn):
    """Turns Examples of the test split into rows with their slices.

    Args:
      dimensions: the slices that were asked for.
      counts: how often the words of the test split stand in the train split.
    """

    def __init__(self, dimensions: Sequence[str], counts: Mapping[str, int]):
        self._dimensions, self._counts = dimensions, counts

    def process(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        columns = {name: batch[name].to_pylist() for name in batch.schema.names}
        sources = [source.decode() for (source,) in columns[features.SOURCE]]
        labels = {name: self._labels(name, sources, columns) for name in self._dimensions}
        yield Rows(
            new_row(
                source,
                [reference.decode() for reference in references],
                {SET: features.TEST, **{name: found[place] for name, found in labels.items()}},
            )
            for place, (source, references) in enumerate(
                zip(sources, columns[features.REFERENCES], strict=True)
            )
        )

    def _labels(
        self, dimension: str, sources: list[str], columns: Mapping[str, list[list[bytes] | None]]
    ) -> list[str]:
        """The label of each row in a dimension."""
        if dimension == SOURCE_LENGTH:
            return [length_label(source) for source in sources]
        if dimension == RAREST_WORD:
            return [rarity_label(source, self._counts) for source in sources]
        if dimension in columns and None not in columns[dimension]:
            return [b" ".join(values or ()).decode() for values in columns[dimension]]
        raise PipelineError(
            f"evaluation.slices: expected '{SOURCE_LENGTH}', '{RAREST_WORD}' or a column "
            f"of the data ({', '.join(sorted(columns))}), received '{dimension}'"
        )


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs the evaluation."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the sentences, what is said of them all, and TFMA's figures."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = EvaluationConfig.model_validate_json(exec_properties["evaluation_config"])
        examples = input_dict["examples"]
        test = io_utils.all_files_pattern(artifact_utils.get_split_uri(examples, features.TEST))
        directories = {
            name: path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key]))
            for name, key in ((CANDIDATE, "model"), (BASELINE, "baseline_model"))
            if _has_export(input_dict.get(key))
        }
        models, names = list(directories), config.measured
        folder = artifact_utils.get_single_uri(output_dict["sentences"])
        counts: Mapping[str, int] = {}
        if RAREST_WORD in config.dimensions:
            counts = _trained_on(examples, features.SOURCE, features.SOURCE)
        write_words(folder, _trained_on(examples, features.REFERENCES, features.TARGET))
        spec = eval_config(config, models)
        schema = schema_of(config.dimensions, models, names)
        loaded = Shared()

        challenges = read_challenge_sets(config.challenge_sets)

        with self._make_beam_pipeline() as pipeline:
            split = (
                pipeline
                | "Read" >> BatchedExamples(test).BeamSource()
                | "Rows" >> beam.ParDo(ReadRows(config.dimensions, counts))
            )
            batches = (
                (split, pipeline | "Challenges" >> beam.Create([challenges]))
                | "All" >> beam.Flatten()
                | "Decode" >> DecodeOnce(directories, loaded, any(name in FORCED for name in names))
                | "Compare" >> beam.Map(compare_all, names)
            )
            _ = (
                batches
                | "AsTable" >> beam.Map(to_table, schema)
                | "Write"
                >> beam.io.WriteToParquetBatched(
                    os.path.join(folder, PREFIX), schema, file_name_suffix=SUFFIX
                )
            )
            _ = (
                batches
                | "Attention" >> ExplainSome(directories, loaded, EXPLAINED)
                | "AttentionAsJson" >> beam.Map(json.dumps, ensure_ascii=False)
                | "WriteAttention"
                >> beam.io.WriteToText(os.path.join(folder, ATTENTION), shard_name_template="")
            )
            _ = (
                batches
                | "References" >> beam.FlatMap(numbers_of_references)
                | "Distinct" >> beam.Distinct()
                | "Numbers" >> beam.combiners.ToList()
                | "Record" >> beam.Map(make_record, names, config.slices)
                | "WriteRecord"
                >> beam.io.WriteToText(os.path.join(folder, RECORD), shard_name_template="")
            )
            _ = (
                batches
                | "BySlices" >> beam.FlatMap(to_sums, models)
                | "Sum" >> beam.CombinePerKey(sum_arrays)
                | "AsExtracts" >> beam.Map(to_extracts, models)
                | "Evaluate"
                >> tfma.ExtractEvaluateAndWriteResults(
                    eval_config=spec,
                    extractors=[
                        tfma.extractors.SliceKeyExtractor(eval_config=spec, materialize=False)
                    ],
                    output_path=artifact_utils.get_single_uri(output_dict["evaluation"]),
                )
            )
        let_go_of_models()


def _has_export(models: list[types.Artifact] | None) -> bool:
    """Whether there is a model: a baseline may be missing, or a folder with nothing in it."""
    return bool(models and fileio.exists(path_utils.serving_model_dir(models[0].uri)))


def compare_all(rows: Iterable[Row], names: Sequence[str]) -> list[Row]:
    """Adds the statistics of each answer to each row of a batch."""
    return [compare(row, names) for row in rows]


def numbers_of_references(rows: Iterable[Row]) -> set[int]:
    """With how many references the sentences of the test split in a batch are compared."""
    return {len(row["references"]) for row in rows if row["slices"][SET] == features.TEST}


def _trained_on(examples: list[types.Artifact], asked: str, counted: str) -> Mapping[str, int]:
    """How often the words of the test split stand in the train split.

    Args:
      examples: of both.
      asked: the feature of the test split whose words are asked about.
      counted: the feature of the train split in which they are counted.
    """

    def texts(split: str, name: str) -> Iterator[str]:
        uri = artifact_utils.get_split_uri(examples, split)
        return read_texts(fileio.glob(io_utils.all_files_pattern(uri)), (name,), -1)

    wanted = {word for text in texts(features.TEST, asked) for word in words_of(text)}
    return count_words(texts(features.TRAIN, counted), wanted)


class Evaluator(base_beam_component.BaseBeamComponent):
    """Measures the exported model, and the baseline beside it, on the test split.

    Outputs `evaluation` (TFMA's, overall and by slice) and `sentences` (each source
    with its references, the answers of both models, and the statistics of each).

    Args:
      examples: of `PairExampleGen`.
      model: the candidate.
      baseline_model: the last blessed model, if there is one.
      config: the `evaluation` section.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        config: EvaluationConfig,
    ):
        super().__init__(
            spec=EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                evaluation_config=config.model_dump_json(),
                challenge_digest=digest_of(config.challenge_sets),
                code_digest=code_digest(__name__),
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                sentences=types.Channel(type=EvaluatedSentences),
            )
        )
