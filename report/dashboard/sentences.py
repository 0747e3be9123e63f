"""The evaluated sentences of a run, held as columns: searched, filtered and sorted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .library import Library

CANDIDATE, BASELINE = "candidate", "baseline"
RECORD, WORDS = "record.json", "trained_words.parquet"  # beside the sentences
PAGE = 25  # sentences
SET, TEST = "set", "test"  # the dimension of the test split and of challenge sets, and the first
REPETITION = "repetition_rate"

ORDERS = {
    "loss": "worst first",
    "lost": "lost most against the other model",
    "won": "won most against the other model",
    "repetition": "most repetitive",
    "doubt": "least probable answer",
    "doubt_by_token": "least probable by token",
    "uncovered": "source covered worst",
    "spread": "attention spread most",
    "ignored": "most of the source ignored",
    "length": "longest source",
    "id": "as evaluated",
}


# What is sorted by of what the model told of its answer, and whether the lowest is first.
TOLD = {
    "doubt_by_token": ("mean_log_prob", True),
    "uncovered": ("coverage_deviation", False),
    "spread": ("attention_entropy", False),
    "ignored": ("ignored_source", False),
}


class CannotRead(Exception):
    """The sentences of a run are damaged or gone."""


class Query(NamedTuple):
    """What is asked of the sentences."""

    metric: str
    search: str = ""  # in source, references or answers, whatever the case of letters
    slices: Mapping[str, str] = {}  # label by dimension
    order: str = "loss"
    page: int = 1


class Found(NamedTuple):
    """What a query found."""

    total: int
    page: int
    pages: int
    places: list[int]  # of this page


class Sentences:
    """The sentences that Evaluator kept.

    Args:
      folder: of the artifact.

    Raises:
      CannotRead: a file is damaged, or there is none.
    """

    def __init__(self, folder: Path):
        tables = [_read(file) for file in sorted(folder.glob("sentences*.parquet"))]
        if not sum(table.num_rows for table in tables):
            raise CannotRead(f"expected sentences*.parquet with sentences in {folder}, found none")
        self.table = pa.concat_tables(tables).combine_chunks()
        self.size = self.table.num_rows
        self.ids = _array(self.table["id"])
        # Workers wrote in no particular order; that of ids never varies.
        self.by_id = pc.sort_indices(self.ids).to_numpy()
        self._rank = np.argsort(self.by_id)
        self.models = [
            model
            for model in (CANDIDATE, BASELINE)
            if model in self.table.column_names and self.table[model].null_count < self.size
        ]
        self._statistics: dict[tuple[str, str], np.ndarray] = {}
        self._figures: dict[tuple[str, str], np.ndarray] = {}
        self._tells: dict[tuple[str, str], bool] = {}
        self._folded: list[pa.Array] | None = None
        self.dimensions = self._dimensions()
        # How often words of references were trained on; an earlier version did not count them.
        self.trained_words = _read(folder / WORDS) if (folder / WORDS).exists() else None
        self.combinations = self._combinations(folder / RECORD)

    @property
    def metrics(self) -> list[str]:
        """The measures whose statistics are there."""
        kind = self._of(CANDIDATE, "statistics").type
        return [kind.field(i).name for i in range(kind.num_fields)]

    def tells(self, library: Library, model: str, metric: str) -> bool:
        """Whether there is a figure of a model: not every export tells all that is measured."""
        key = (model, metric)
        if key not in self._tells:
            figure = library.figures(metric, self.statistics(*key).sum(axis=0)[np.newaxis])
            self._tells[key] = not np.isnan(figure).all()
        return self._tells[key]

    def told_metrics(self, library: Library) -> list[str]:
        """The measures that any of the models has a figure of."""
        told = [m for m in self.metrics if any(self.tells(library, x, m) for x in self.models)]
        return told or self.metrics

    def _of(self, model: str, key: str) -> pa.Array:
        return pc.struct_field(_array(self.table[model]), [_index(self.table[model], key)])

    def statistics(self, model: str, metric: str) -> np.ndarray:
        """The statistics of a measure [N, S]."""
        key = (model, metric)
        if key not in self._statistics:
            column = self._of(model, "statistics")
            lists = pc.struct_field(column, [_index(column, metric)])
            flat = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
            self._statistics[key] = flat.reshape(self.size, -1)
        return self._statistics[key]

    def figures(self, library: Library, model: str, metric: str) -> np.ndarray:
        """The figure of each sentence [N]."""
        key = (model, metric)
        if key not in self._figures:
            self._figures[key] = library.sentence_figures(metric, self.statistics(*key))
        return self._figures[key]

    def losses(self, library: Library, model: str, metric: str) -> np.ndarray:
        """As `figures`, larger being worse."""
        return library.loss(metric, self.figures(library, model, metric))

    def log_probs(self) -> np.ndarray:
        """Of the candidate's answers [N]."""
        return np.asarray(
            self._of(CANDIDATE, "log_prob").to_numpy(zero_copy_only=False), np.float64
        )

    def told(self, name: str) -> np.ndarray | None:
        """What the candidate told of its answers [N], by name; None where it did not."""
        kind = self.table[CANDIDATE].type
        if kind.get_field_index("confidence") < 0:
            return None
        column = self._of(CANDIDATE, "confidence")
        place = column.type.get_field_index(name)
        if place < 0:
            return None
        values = pc.struct_field(column, [place])
        if values.null_count == self.size:
            return None
        return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)

    @property
    def orders(self) -> dict[str, str]:
        """By what these sentences can be sorted, in words."""
        orders = dict(ORDERS)
        if BASELINE not in self.models:
            del orders["lost"], orders["won"]
        for order, (name, _) in TOLD.items():
            if self.told(name) is None:
                del orders[order]
        return orders

    def row(self, place: int) -> dict[str, Any]:
        """All of a sentence."""
        return _without_nulls(self.table.slice(place, 1).to_pylist()[0])

    def place_of(self, identity: str) -> int | None:
        """Where a sentence is by its id."""
        place = pc.index(self.ids, value=identity).as_py()
        return None if place < 0 else place

    @property
    def references(self) -> pa.ListArray:
        """The references of each sentence [N]."""
        return _array(self.table["references"])

    def texts(self, model: str) -> pa.Array:
        """The answers of a model [N]."""
        return self._of(model, "text")

    def find(self, query: Query, library: Library) -> Found:
        """Answers a query; of a page that is not there it gives the last."""
        chosen = np.ones(self.size, bool)
        for dimension, label in query.slices.items():
            if dimension in self.dimensions:
                chosen &= self.where(dimension, label)
        if query.search.strip():
            chosen &= self._search(query.search.strip())
        places = self.by_id[chosen[self.by_id]]
        if (keys := self._keys(query, library)) is not None:
            # A loss that is no number is the worst; none is lost or won by one.
            differs = query.order in ("lost", "won")
            keys = np.where(np.isnan(keys), -np.inf if differs else np.inf, keys)[places]
            if differs:
                places, keys = places[keys > 0], keys[keys > 0]
            # Among equals the least probable first, and then by id.
            ties = np.nan_to_num(self.log_probs(), nan=-np.inf)[places]
            places = places[np.lexsort((self._rank[places], ties, -keys))]
        pages = max(1, -(-len(places) // PAGE))
        page = min(max(1, query.page), pages)
        shown = places[(page - 1) * PAGE : page * PAGE]
        return Found(len(places), page, pages, shown.tolist())

    def where(self, dimension: str, label: str) -> np.ndarray:
        """Which sentences are in a slice [N]."""
        column = self.table["slices"]
        labels = pc.struct_field(_array(column), [_index(column, dimension)])
        return pc.fill_null(pc.equal(labels, label), False).to_numpy(zero_copy_only=False)

    def _combinations(self, record: Path) -> list[dict[str, str]]:
        """The slices of several dimensions, by the label of each."""
        # An earlier version told of none, and neither do its sentences.
        try:
            known = json.loads(record.read_text("utf-8")) if record.exists() else {}
        except ValueError as error:
            raise CannotRead(f"{record}: expected JSON: {error}") from error
        found = []
        for names in known.get("slices", []):
            if len(names) > 1 and all(name in self.dimensions for name in names):
                column = _array(self.table["slices"])
                labels = pa.table({n: pc.struct_field(column, [_index(column, n)]) for n in names})
                counts = labels.group_by(names).aggregate([(names[0], "count")]).select(names)
                whole = [row for row in counts.to_pylist() if None not in row.values()]
                found += sorted(whole, key=lambda row: [_by_size(row[name]) for name in names])
        return found

    def _keys(self, query: Query, library: Library) -> np.ndarray | None:
        """What is sorted by, the largest first."""
        if query.order == "loss":
            return self.losses(library, CANDIDATE, query.metric)
        if query.order in ("lost", "won") and BASELINE in self.models:
            mine, other = (self.losses(library, m, query.metric) for m in (CANDIDATE, BASELINE))
            return mine - other if query.order == "lost" else other - mine
        if query.order == "repetition" and REPETITION in self.metrics:
            return self.figures(library, CANDIDATE, REPETITION)
        if query.order == "doubt":
            return -self.log_probs()
        if query.order in TOLD:
            name, lowest = TOLD[query.order]
            values = self.told(name)
            if values is not None:
                # What was not told of comes last, and not among the worst.
                return np.nan_to_num(-values if lowest else values, nan=-np.inf)
        if query.order == "length":
            return pc.utf8_length(_array(self.table["source"])).to_numpy().astype(np.float64)
        return None

    def _search(self, text: str) -> np.ndarray:
        if self._folded is None:
            columns = [_array(self.table["source"]), *map(self.texts, self.models)]
            references = _array(self.table["references"])
            joined = pc.binary_join(references, "\n")
            self._folded = [pc.utf8_lower(column) for column in (*columns, joined)]
        wanted = pc.utf8_lower(pa.scalar(text)).as_py()  # as the columns are, by another Unicode
        found = np.zeros(self.size, bool)
        for column in self._folded:
            matches = pc.fill_null(pc.match_substring(column, wanted), False)
            found |= matches.to_numpy(zero_copy_only=False)
        return found

    def _dimensions(self) -> dict[str, list[tuple[str, int]]]:
        """Labels and how many sentences each has, of each dimension of slices."""
        column = self.table["slices"]
        found = {}
        for i in range(column.type.num_fields):
            counts = pc.value_counts(pc.struct_field(_array(column), [i])).to_pylist()
            labels = [(c["values"], c["counts"]) for c in counts if c["values"] is not None]
            found[column.type.field(i).name] = sorted(labels, key=lambda pair: _by_size(pair[0]))
        return found


def _read(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise CannotRead(f"{file}: expected a Parquet file of sentences: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return value


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _index(column: pa.ChunkedArray | pa.Array, name: str) -> int:
    kind = column.type
    names = [kind.field(i).name for i in range(kind.num_fields)]
    return names.index(name)


def _by_size(label: str) -> tuple[int, str]:
    digits = label.partition("-")[0].rstrip("+")
    is_number = digits.isdecimal() and len(digits) < 19
    return (int(digits), label) if is_number else (0, label)
