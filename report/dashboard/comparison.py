"""Two runs on the sentences that both answered: what differs, and whether it is chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .library import Library
from .sentences import CANDIDATE, SET, TEST, Sentences
from .words import Accuracy, NGram, accuracy, ngrams

GROUPS = 2_000  # what is drawn at most: sentences, or groups of them
SLICE_GROUPS = 500
SLICES = 200  # that are compared, at most
RESAMPLES = 1_000
SEED = 1
LOOKED_AT = 2_000  # sentences whose n-grams are counted, of those that differ
COUNTED = 10_000  # sentences whose words are counted by frequency, of all
SHOWN = 12


class Difference(NamedTuple):
    """A figure of two runs on the same sentences."""

    name: str  # the metric, or the slice
    sentences: int
    before: float
    after: float
    low: float  # the interval of the difference
    high: float
    better: bool | None  # None where the interval of losses holds zero: it may be chance


class Change(NamedTuple):
    """A sentence that both answered differently."""

    id: str
    source: str
    references: list[str]
    before: str
    after: str
    gain: float  # of the metric, positive where it became better


class Overall(NamedTuple):
    """What two runs differ in, by whichever metric they are compared: of the test split."""

    places: tuple[np.ndarray, np.ndarray]  # of the sentences that are compared, all sets
    tested: np.ndarray  # which of those are of the test split
    shared: int
    alone: tuple[int, int]  # sentences that only one has
    restated: int  # sentences with other references in each, which are left out
    differs: np.ndarray  # which answers do, of the test split
    metrics: list[Difference]
    improved: list[NGram]
    worsened: list[NGram]
    looked_at: int
    accuracy: list[Accuracy]
    counted: int  # sentences of which that is

    @property
    def differing(self) -> int:
        """How many answers do."""
        return int(self.differs.sum())

    @property
    def exact(self) -> bool:
        """Whether single sentences were drawn."""
        return self.shared <= GROUPS


class Comparison(NamedTuple):
    """Two runs by a metric."""

    overall: Overall
    metric: str
    slices: list[Difference]  # all challenge sets, and the largest
    untold: int  # slices that are left out
    better: list[Change]
    worse: list[Change]


def compare_overall(before: Sentences, after: Sentences, library: Library) -> Overall:
    """Compares the candidates of two runs in all that does not depend on a metric.

    Args:
      before: of the earlier run.
      after: of the later run.
      library: of statistics.
    """
    sides = (before, after)
    joined = _shared(before, after)
    alike = _have_same_references(sides, joined)
    both = joined[0][alike], joined[1][alike]
    restated = int(after.where(SET, TEST)[joined[1][~alike]].sum())
    tested = after.where(SET, TEST)[both[1]]
    places = both[0][tested], both[1][tested]
    texts = [
        side.texts(CANDIDATE).take(pa.array(at)) for side, at in zip(sides, places, strict=True)
    ]
    differs = pc.fill_null(pc.not_equal(*texts), True).to_numpy(zero_copy_only=False)

    def answers_of(some: np.ndarray) -> list[pa.Array]:
        references = after.references.take(pa.array(places[1][some]))
        return [references, *(text.take(pa.array(some)) for text in texts)]

    totals = [int(side.where(SET, TEST).sum()) for side in sides]
    known = len(places[0]) + restated
    looked = _evenly(np.flatnonzero(differs), LOOKED_AT)
    improved, worsened = ngrams(*(side.to_pylist() for side in answers_of(looked)))
    # Not of those that differ alone: how many words are right is asked of all.
    counted = _evenly(np.arange(len(differs)), COUNTED)
    names = shared_metrics(before, after, library)
    asked = [ask(name, name, _statistics(sides, name, places), GROUPS) for name in names]
    return Overall(
        places=both,
        tested=tested,
        shared=len(places[0]),
        alone=(totals[0] - known, totals[1] - known),
        restated=restated,
        differs=differs,
        metrics=differences(asked, library),
        improved=improved,
        worsened=worsened,
        looked_at=len(looked),
        accuracy=accuracy(after.trained_words, *answers_of(counted)),
        counted=len(counted),
    )


def compare(
    before: Sentences, after: Sentences, metric: str, library: Library, overall: Overall
) -> Comparison:
    """Compares the candidates of two runs by a metric.

    Args:
      before: of the earlier run.
      after: of the later run.
      metric: by which sentences and slices are compared.
      library: of statistics.
      overall: of the same two runs.
    """
    sides, both = (before, after), overall.places
    parts = _parts(after, overall)
    told = {name for name, _ in sorted(parts, key=_worth)[:SLICES]}
    asked = []
    for name, inside in parts:
        if name in told:
            part = _statistics(sides, metric, (both[0][inside], both[1][inside]))
            asked.append(ask(name, metric, part, SLICE_GROUPS))
    places = both[0][overall.tested], both[1][overall.tested]
    losses = [
        side.losses(library, CANDIDATE, metric)[at] for side, at in zip(sides, places, strict=True)
    ]
    gain = np.where(overall.differs, np.nan_to_num(losses[0] - losses[1]), 0.0)
    order = np.argsort(-gain, kind="stable")
    best = [int(i) for i in order[:SHOWN] if gain[i] > 0]
    worst = [int(i) for i in order[::-1][:SHOWN] if gain[i] < 0]

    def change(i: int) -> Change:
        row = after.row(int(places[1][i]))
        was, now = (
            side.texts(CANDIDATE)[int(at[i])].as_py()
            for side, at in zip(sides, places, strict=True)
        )
        return Change(row["id"], row["source"], row["references"], was, now, float(gain[i]))

    return Comparison(
        overall=overall,
        metric=metric,
        slices=differences(asked, library),
        untold=len(parts) - len(asked),
        better=[change(i) for i in best],
        worse=[change(i) for i in worst],
    )


def shared_metrics(before: Sentences, after: Sentences, library: Library) -> list[str]:
    """What two runs can be compared by: both have it, and one has a figure of it at least."""
    sides = (before, after)
    return [
        name
        for name in after.metrics
        if name in before.metrics and any(side.tells(library, CANDIDATE, name) for side in sides)
    ]


def _parts(after: Sentences, overall: Overall) -> list[tuple[str, np.ndarray]]:
    """The slices of the sentences that are compared: their names, and which are in each."""
    at = overall.places[1]
    inside = {
        (name, label): after.where(name, label)[at]
        for name, found in after.dimensions.items()
        for label, _ in found
    }
    alone = [{name: label} for name, label in inside]
    parts = []
    for labels in (*alone, *after.combinations):
        which = np.logical_and.reduce([inside[one] for one in labels.items()])
        if which.sum() > 1 and not np.array_equal(which, overall.tested):
            name = ", ".join(f"{name}={label}" for name, label in sorted(labels.items()))
            parts.append((name, np.flatnonzero(which)))
    return parts


def _worth(part: tuple[str, np.ndarray]) -> tuple[bool, int]:
    """Challenge sets first, then the largest slices."""
    name, inside = part
    return not name.startswith(f"{SET}="), -len(inside)


def _evenly(places: np.ndarray, most: int) -> np.ndarray:
    """At most so many of them, evenly chosen."""
    return places[:: max(1, -(-len(places) // most))]


def _shared(before: Sentences, after: Sentences) -> tuple[np.ndarray, np.ndarray]:
    """Where the sentences are that both have, in the order of their ids."""
    found = pc.index_in(after.ids, value_set=before.ids)
    known = pc.is_valid(found).to_numpy(zero_copy_only=False)
    at = after.by_id[known[after.by_id]]
    return pc.fill_null(found, 0).to_numpy()[at].astype(np.int64), at.astype(np.int64)


def _have_same_references(
    sides: tuple[Sentences, Sentences], places: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Of which shared sentences the figures are comparable [N]; references have no order."""
    was, now = (side.references.take(pa.array(at)) for side, at in zip(sides, places, strict=True))
    alike = pc.equal(pc.list_value_length(was), pc.list_value_length(now))
    alike = alike.to_numpy(zero_copy_only=False).copy()
    other = np.flatnonzero(alike)
    for in_order in (lambda lists: lists, _sorted):  # few differ, and of those it may be the order
        other = other[_differing(*(in_order(side.take(pa.array(other))) for side in (was, now)))]
    alike[other] = False
    return alike


def _statistics(
    sides: tuple[Sentences, Sentences], metric: str, places: tuple[np.ndarray, np.ndarray]
) -> list[np.ndarray]:
    return [side.statistics(CANDIDATE, metric)[at] for side, at in zip(sides, places, strict=True)]


def _differing(was: pa.ListArray, now: pa.ListArray) -> np.ndarray:
    """Where lists of the same lengths have other texts."""
    other = pc.not_equal(pc.list_flatten(was), pc.list_flatten(now))
    other = pc.fill_null(other, True).to_numpy(zero_copy_only=False)
    return np.unique(pc.list_parent_indices(was).to_numpy()[other])


def _sorted(lists: pa.ListArray) -> pa.ListArray:
    """Lists, the texts of each in their order."""
    texts = pa.table({"list": pc.list_parent_indices(lists), "text": pc.list_flatten(lists)})
    order = pc.sort_indices(texts, sort_keys=[("list", "ascending"), ("text", "ascending")])
    ends = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy())])
    values = texts["text"].take(order).combine_chunks()
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)


class Asked(NamedTuple):
    """What a difference is asked of: sums of statistics [2, S], and those of groups [G, S]."""

    name: str
    metric: str
    sentences: int
    sums: np.ndarray
    pair: list[np.ndarray]


def ask(name: str, metric: str, pair: Sequence[np.ndarray], groups: int) -> Asked:
    """Takes statistics of two runs [N, S], each; of many sentences groups are drawn.

    Sentences are independent, so the sums of groups that were put together at random vary
    as much as those of sentences that are drawn one by one.
    """
    number = len(pair[0])
    sums = np.stack([one.sum(axis=0) for one in pair])
    if number > groups:
        mixed = np.random.default_rng(SEED).permutation(number)
        starts = np.arange(groups) * number // groups
        pair = [np.add.reduceat(one[mixed], starts, axis=0) for one in pair]
    return Asked(name, metric, number, sums, [*pair])


def differences(asked: Sequence[Asked], library: Library) -> list[Difference]:
    """A paired bootstrap of each; those of as many groups are drawn together."""
    drawn: dict[int, list[np.ndarray]] = {}
    for number in {len(one.pair[0]) for one in asked if one.sentences > 1}:
        alike = [i for i, one in enumerate(asked) if len(one.pair[0]) == number]
        wide = np.cumsum([asked[i].pair[0].shape[1] for i in alike])[:-1]
        sums = library.resample(
            [np.concatenate([asked[i].pair[side] for i in alike], axis=1) for side in (0, 1)],
            RESAMPLES,
        )
        parts = [np.split(side, wide, axis=1) for side in sums]
        drawn |= {i: [*pair] for i, *pair in zip(alike, *parts, strict=True)}
    return [_difference(one, drawn.get(i), library) for i, one in enumerate(asked)]


def _difference(one: Asked, drawn: list[np.ndarray] | None, library: Library) -> Difference:
    was, now = library.figures(one.metric, one.sums).tolist()
    if drawn is None:
        ends = float("-inf"), float("inf")
        return Difference(one.name, one.sentences, was, now, *ends, None)
    figures = [library.figures(one.metric, side) for side in drawn]
    low, high = library.interval(figures[1] - figures[0])
    # Not of the figures: a ratio that went from too small to too large is neither.
    losses = [library.loss(one.metric, side) for side in figures]
    least, most = library.interval(losses[1] - losses[0])
    better = most < 0 if least > 0 or most < 0 else None
    return Difference(one.name, one.sentences, was, now, low, high, better)
