"""Decodes each source once, in batches of about equal cost, and with every model."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.utils.shared import Shared

from ..models import features
from ..serving.equal_batches import batches
from ..serving.local_model import LocalModel, ModelError
from ..serving.told import Forced
from .sentences import CANDIDATE, Row, Rows

GROWTH = 1.3  # how much longer the longest source of a group is than the shortest
FORCED_ROWS = 128  # scored at once: each holds a distribution for every token
EXPLAINED = 24  # characters of a source whose attention is worth a look, about


class Models:
    """Loaded models; an object of its own, for `Shared` holds no plain dict.

    Args:
      directories: of the SavedModels, by name.
    """

    def __init__(self, directories: Mapping[str, str]):
        self.by_name = {name: LocalModel(Path(path)) for name, path in directories.items()}


def let_go_of_models() -> None:
    """Frees what this process has loaded, once no pipeline asks it any more.

    Beam keeps what was shared last until something else is. Models that are left until
    Python ends complain that TensorFlow went before them.
    """
    Shared().acquire(lambda: None)


class AsksModels(beam.DoFn):
    """Has the models at hand, loaded once in a process.

    Args:
      directories: of the SavedModels, by the key that the answers get.
      shared: the same for all that ask them.
    """

    def __init__(self, directories: Mapping[str, str], shared: Shared):
        self._directories, self._shared = dict(directories), shared

    def setup(self) -> None:
        self._models: Models = self._shared.acquire(lambda: Models(self._directories))


class Answer(AsksModels):
    """Answers batches of rows with each model, and has it score the references if asked.

    Args:
      directories: of the SavedModels, by the key that the answers get.
      shared: the same for all that ask them.
      forces: whether references are scored by teacher forcing.
    """

    def __init__(self, directories: Mapping[str, str], shared: Shared, forces: bool = False):
        super().__init__(directories, shared)
        self._forces = forces

    def process(self, batch: list[Row]) -> Iterator[list[Row]]:
        rows = [dict(row) for row in batch]
        for name, model in self._models.by_name.items():
            for row, answer in zip(rows, answered(model, rows, self._forces), strict=True):
                row[name] = answer
        yield rows


def answered(model: LocalModel, rows: list[Row], forces: bool = False) -> list[dict[str, Any]]:
    """The best answer to each row, with what the model tells of it where it can.

    Args:
      model: that is asked.
      rows: with source and references.
      forces: whether references are scored by teacher forcing.
    """
    sources = [row["source"] for row in rows]
    if model.has(features.CONFIDENCE_SIGNATURE):
        answers = [found._asdict() for found in model.assess(sources)]
    else:
        answers = [best._asdict() for best, *_ in model.predict(sources)]
    # A baseline that an earlier version exported cannot: its figures are no numbers.
    if forces and model.has(features.TEACHER_FORCING_SIGNATURE):
        for answer, forced in zip(answers, scored(model, rows), strict=True):
            answer["forced"] = [one._asdict() for one in forced]
    return answers


def scored(model: LocalModel, rows: list[Row]) -> list[list[Forced]]:
    """Every reference of each row by teacher forcing."""
    pairs = [(row["source"], text) for row in rows for text in row["references"]]
    found: list[Any] = [None] * len(pairs)
    for places in batches([max(map(len, pair)) for pair in pairs]):
        for start in range(0, len(places), FORCED_ROWS):
            some = places[start : start + FORCED_ROWS]
            sources, references = zip(*(pairs[place] for place in some), strict=True)
            for place, one in zip(some, model.force(sources, references), strict=True):
                found[place] = one
    each = iter(found)
    return [[next(each) for _ in row["references"]] for row in rows]


class Explain(AsksModels):
    """Gives the attention of the candidate's answers to a few rows, if it can tell.

    Each is a dict: source_tokens [S], target_tokens [T], attention [T][S].
    """

    def process(self, rows: list[Row]) -> Iterator[dict[str, Any]]:
        try:
            explained = self._models.by_name[CANDIDATE].explain([row["source"] for row in rows])
        except ModelError:  # exported before there was such a signature
            return
        for source_tokens, hypotheses in explained:
            for best in hypotheses[:1]:
                if best.attention.any():
                    yield {
                        "source_tokens": source_tokens,
                        "target_tokens": best.target_tokens,
                        "attention": best.attention.astype(float).round(4).tolist(),
                    }


def in_batches(rows: Iterable[Row]) -> Iterator[Rows]:
    """Cuts rows into batches, the same whatever order they come in."""
    ordered = sorted(rows, key=lambda row: row["id"])
    for places in batches([len(row["source"]) for row in ordered]):
        yield Rows(ordered[place] for place in places)


def length_group(row: Row) -> int:
    """The group of sources of about the same length to which a row belongs."""
    return int(math.log(max(len(row["source"]), 1), GROWTH))


def by_length_group(rows: Iterable[Row]) -> Iterator[tuple[int, Rows]]:
    """The rows of each group, after its number."""
    groups: dict[int, Rows] = {}
    for row in rows:
        groups.setdefault(length_group(row), Rows()).append(row)
    yield from groups.items()


def batches_of_group(_: int, parts: Iterable[Rows]) -> Iterator[Rows]:
    """The batches of a group."""
    return in_batches(chain.from_iterable(parts))


def worth(row: Row) -> tuple[int, str]:
    """How much the attention of a row is worth a look, and what decides between equals."""
    return -abs(len(row["source"]) - EXPLAINED), row["id"]


def most_worth(rows: Iterable[Row], number: int) -> list[Row]:
    """The rows whose attention is worth a look most."""
    return heapq.nlargest(number, rows, key=worth)


@beam.ptransform_fn
def DecodeOnce(
    lists: beam.PCollection, directories: Mapping[str, str], shared: Shared, forces: bool = False
) -> beam.PCollection:
    """Lists of rows in, batches of the same rows with the answers of each model out.

    Args:
      lists: of rows, of any length each.
      directories: of the SavedModels, by the key that the answers get.
      shared: the same for all that ask them.
      forces: whether references are scored by teacher forcing.
    """
    return (
        lists
        | "ByLength" >> beam.FlatMap(by_length_group)
        | "Group" >> beam.GroupByKey()
        | "Batch" >> beam.FlatMapTuple(batches_of_group)
        | "SpreadBatches" >> beam.Reshuffle()
        | "Answer" >> beam.ParDo(Answer(directories, shared, forces))
    )


@beam.ptransform_fn
def ExplainSome(
    batches: beam.PCollection, directories: Mapping[str, str], shared: Shared, number: int
) -> beam.PCollection:
    """The attention of the candidate's answers to a few rows, the same in any order."""
    return (
        batches
        | "OfBatch" >> beam.FlatMap(most_worth, number)
        | "Choose" >> beam.combiners.Top.Of(number, key=worth)
        | "Explain" >> beam.ParDo(Explain(directories, shared))
    )
