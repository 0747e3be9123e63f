"""An evaluated sentence, and what is said of all of them.

    {"id": "9f86d081884c7d65", "source": "...", "references": ["..."],
     "slices": {"set": "test", "source_length": "5-8"},
     "candidate": {"text": "...", "score": -0.1, "log_prob": -0.4,
                   "confidence": {"mean_log_prob": -0.1, ...},
                   "forced": [{"log_prob": -0.6, "tokens": 5, "correct": 5}],
                   "statistics": {"bleu": [5, 5, ...]}},
     "baseline": {...}}

`confidence` is there where the model's export tells of it, `forced` (each reference by
teacher forcing) where a metric asks for it. The figure of any part of the test split is
`Measure.figure` of the summed statistics. `sentence_files` keeps them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..serving.told import Forced
from .measure import Sentence
from .metrics import MEASURES, signatures
from .slices import SET, by_size, dimensions_of, parts_of, slice_name

CANDIDATE = "candidate"
BASELINE = "baseline"
MODELS = (CANDIDATE, BASELINE)

Row = dict[str, Any]  # as above


class Rows(list[Row]):
    """Rows that travel together.

    Beam's coder goes through a plain list value by value; this, which it does not know, it
    pickles, in a tenth of the time.
    """


def new_row(source: str, references: Sequence[str], slices: dict[str, str]) -> Row:
    """A source that is not answered yet.

    Args:
      source: its text.
      references: every accepted answer.
      slices: what it belongs to, `SET` among them.
    """
    key = f"{slices[SET]}\0{source}".encode()
    return {
        "id": hashlib.sha256(key).hexdigest()[:16],
        "source": source,
        "references": list(references),
        "slices": slices,
    }


def compare(row: Row, names: Sequence[str]) -> Row:
    """Adds the statistics of each answer against the references."""
    compared = dict(row)
    for model in MODELS:
        if model in row:
            answer = row[model]
            sentence = Sentence(
                answer["text"],
                tuple(row["references"]),
                row["source"],
                tuple(Forced(**one) for one in answer.get("forced", ())),
                answer.get("confidence", {}),
            )
            statistics = {name: [*MEASURES[name].statistics(sentence)] for name in names}
            compared[model] = {**row[model], "statistics": statistics}
    return compared


def vector(row: Row, model: str) -> list[float]:
    """The statistics of an answer, those of one measure after those of another."""
    return [*chain.from_iterable(row[model]["statistics"].values())]


def make_record(
    references: Collection[int], names: Sequence[str], slices: Sequence[str] = ()
) -> str:
    """What is said of the whole, as JSON.

    Args:
      references: the numbers of references that sentences of the test split had.
      names: of the measures.
      slices: as `evaluation.slices` has them.
    """
    record = {
        "measures": list(names),
        "signatures": signatures(names, references),
        "slices": [dimensions_of(entry) for entry in slices],
    }
    return json.dumps(record, indent=1)


class Statistics(NamedTuple):
    """The statistics of N sentences, in the order of their ids."""

    slices: list[dict[str, str]]  # of each sentence
    measures: dict[str, dict[str, np.ndarray]]  # of each model and measure [N, its size]

    def where(self, dimension: str, label: str) -> Statistics:
        """Those of one slice."""
        return self._only(np.array([found.get(dimension) == label for found in self.slices], bool))

    def named(self, name: str) -> dict[str, Statistics]:
        """The slices that a name means, by how each is told: see `parts_of`.

        Where it means none, there is one of that name without a sentence.
        """
        known = dict.fromkeys(dimension for found in self.slices for dimension in found)
        found: list[tuple[dict[str, str], Statistics]] = [({}, self)]
        for dimension, label in parts_of(name, known):
            found = [
                ({**labels, dimension: one}, part.where(dimension, one))
                for labels, part in found
                for one in (part.labels(dimension) if label is None else [label])
            ]
        if not found:
            return {name: self._only(np.zeros(len(self.slices), bool))}
        return {slice_name(labels): part for labels, part in found}

    def _only(self, chosen: np.ndarray) -> Statistics:
        return Statistics(
            [found for found, kept in zip(self.slices, chosen, strict=True) if kept],
            {
                model: {name: values[chosen] for name, values in of_model.items()}
                for model, of_model in self.measures.items()
            },
        )

    def labels(self, dimension: str) -> list[str]:
        """The slices of a dimension."""
        labels = {found[dimension] for found in self.slices if dimension in found}
        return sorted(labels, key=by_size)
