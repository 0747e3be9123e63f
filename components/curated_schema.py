"""A curated schema: read when it is named, and held against Examples without TFX."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from glob import escape
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from ..models import features
from .bitext_limits import Breach
from .data_config import DataConfig, parts_of
from .ingestion import ReadFiles
from .readers.registry import InputFile
from .splits import SPLITS, splitter
from .write_examples import WriteExamples

# Nearly every text is another, and to count each by its name sends all of them through a
# shuffle, which takes longer than all else. Sketches are exact up to 16,384 different
# values, more than any that a schema may enumerate.
STATS_OPTIONS = {"use_sketch_based_topk_uniques": True}


def read_schema(path: str) -> str:
    """The text of a schema file.

    Raises:
      ValueError: it cannot be read, is no schema, or lacks a side as a column of text.
    """
    try:
        text = Path(path).read_text("utf-8")
        schema = text_format.Parse(text, schema_pb2.Schema())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a schema as text: {error}") from error
    except text_format.ParseError as error:
        raise ValueError(f"expected a schema as text, as SchemaGen writes it: {error}") from error
    found = {feature.name: feature.type for feature in schema.feature}
    for name in (features.SOURCE, features.TARGET, features.REFERENCES):
        if found.get(name) != schema_pb2.BYTES:
            kind = schema_pb2.FeatureType.Name(found[name]) if name in found else "nothing"
            raise ValueError(f"expected a feature '{name}' of type BYTES, found {kind}")
    return text


def schema_breaches(
    config: DataConfig, files: list[InputFile], schema_file: str, folder: Path, beam_args: list[str]
) -> list[Breach]:
    """What of the Examples that files become is not as a schema has it.

    Reads and cleans the files as PairExampleGen does, and compares as StatisticsGen and
    ExampleValidator do.

    Args:
      config: the `data` section.
      files: that it names.
      schema_file: its path.
      folder: for what is laid aside meanwhile.
      beam_args: of Beam.
    """
    import tensorflow_data_validation as tfdv  # brings TensorFlow: seconds, for those who ask

    schema = text_format.Parse(read_schema(schema_file), schema_pb2.Schema())
    options = PipelineOptions(beam_args)
    anomalies = {}
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        tempfile.TemporaryDirectory() as small,  # Beam's sink finds nothing below a '['
    ):
        folders = {split: Path(scratch, split) for split in SPLITS}
        for path in (Path(scratch, "aside"), *folders.values()):
            path.mkdir()
        parts = parts_of(files)
        names = {split: str(path) for split, path in folders.items()}
        write = WriteExamples(splitter(config.splits, files), names, parts)
        with beam.Pipeline(options=options) as pipeline:
            rows = pipeline | ReadFiles(files, config, str(Path(scratch, "aside")), parts)
            _ = rows.pairs | "WriteExamples" >> beam.ParDo(write)
        for split, path in folders.items():
            if any(path.iterdir()):
                statistics = tfdv.generate_statistics_from_tfrecord(
                    f"{escape(str(path))}/*",
                    str(Path(small, split)),
                    tfdv.StatsOptions(**STATS_OPTIONS),
                    options,
                )
                anomalies[split] = tfdv.validate_statistics(statistics, schema)
    return anomalies_told(anomalies)


def anomalies_told(by_split: Mapping[str, Any]) -> list[Breach]:
    """The breach that anomalies are, if there are any.

    Args:
      by_split: the Anomalies of each split, as TensorFlow Data Validation has them.
    """
    told = [
        f"{name} in {split}: {anomaly.description}"
        for split, anomalies in sorted(by_split.items())
        for name, anomaly in sorted(anomalies.anomaly_info.items())
    ]
    return [Breach("schema_file", 0, len(told), told[:10])] if told else []
