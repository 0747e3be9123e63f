"""Decodes each source once, in batches of about equal cost, and with every model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.utils.shared import Shared

from ..models import features
from ..serving.batching import batches
from .sentences import Row

GROWTH = 1.3  # how much longer the longest source of a group is than the shortest


class _Signatures:
    """Loaded models; an object of its own, for `Shared` holds no plain dict."""

    def __init__(self, directories: Mapping[str, str]):
        import tensorflow_text  # noqa: F401  registers the ops that the graphs hold

        self.models = {name: tf.saved_model.load(path) for name, path in directories.items()}

    def __getitem__(self, name: str) -> Any:
        return self.models[name].signatures[features.SERVING_SIGNATURE]


class Answer(beam.DoFn):
    """Answers batches of rows with each model's `serving_default`.

    Args:
      directories: of the SavedModels, by the key that the answers get.
    """

    def __init__(self, directories: Mapping[str, str]):
        self._directories = dict(directories)
        self._shared = Shared()

    def setup(self) -> None:
        self._signatures = self._shared.acquire(lambda: _Signatures(self._directories))

    def process(self, batch: list[Row]) -> Iterator[Row]:
        rows = [dict(row) for row in batch]
        sources = tf.constant([row["source"] for row in rows])
        for name in self._directories:
            outputs = self._signatures[name](sources)
            texts, scores, log_probs = (
                outputs[key].numpy().tolist()
                for key in (features.TEXT, features.SCORE, features.LOG_PROB)
            )
            for row, text, score, log_prob in zip(rows, texts, scores, log_probs, strict=True):
                row[name] = {"text": text.decode(), "score": score, "log_prob": log_prob}
        yield from rows


def in_batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cuts rows into batches, the same whatever order they come in."""
    ordered = sorted(rows, key=lambda row: row["id"])
    for places in batches([len(row["source"]) for row in ordered]):
        yield [ordered[place] for place in places]


def length_group(row: Row) -> int:
    """The group of sources of about the same length to which a row belongs."""
    return int(math.log(max(len(row["source"]), 1), GROWTH))


@beam.ptransform_fn
def DecodeOnce(rows: beam.PCollection, directories: Mapping[str, str]) -> beam.PCollection:
    """Rows in, the same rows with the answers of each model out."""
    return (
        rows
        | "ByLength" >> beam.Map(lambda row: (length_group(row), row))
        | "Group" >> beam.GroupByKey()
        | "Batch" >> beam.FlatMap(lambda group: in_batches(group[1]))
        | "SpreadBatches" >> beam.Reshuffle()
        | "Answer" >> beam.ParDo(Answer(directories))
    )
