"""Two runs on the sentences that both answered: what differs, and whether it is chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .library import Library
from .sentences import CANDIDATE, SET, TEST, Sentences

GROUPS = 2_000  # what is drawn at most: sentences, or groups of them
SLICE_GROUPS = 500
RESAMPLES = 1_000
SEED = 1
RARITY = "rarest_word"
LOOKED_AT = 2_000  # sentences whose n-grams are counted, of those that differ
COUNTED = 10_000  # sentences whose words are counted by frequency, of all
ORDERS, WORDS = (1, 2), (1,)  # of n-grams
SHOWN = 12

Orders = tuple[int, ...]
Counts = Counter[str]  # of n-grams


class Difference(NamedTuple):
    """A figure of two runs on the same sentences."""

    name: str  # the metric, or the slice
    sentences: int
    before: float
    after: float
    low: float  # the interval of the difference
    high: float
    better: bool | None  # None where the interval of losses holds zero: it may be chance


class NGram(NamedTuple):
    """Words of references, and how often the answers had them."""

    text: str
    wanted: int  # in the references that the answers are closest to
    before: int
    after: int


class Accuracy(NamedTuple):
    """Words of references that were answered, by how rare the source is."""

    label: str
    words: int  # of the references that the later answers are closest to
    before: float
    after: float


class Change(NamedTuple):
    """A sentence that both answered differently."""

    id: str
    source: str
    references: list[str]
    before: str
    after: str
    gain: float  # of the metric, positive where it became better


class Comparison(NamedTuple):
    """All that two runs differ in: of the test split, but for slices."""

    metric: str
    shared: int
    alone: tuple[int, int]  # sentences that only one has
    restated: int  # sentences with other references in each, which are left out
    differing: int  # answers
    metrics: list[Difference]
    slices: list[Difference]  # challenge sets among them
    better: list[Change]
    worse: list[Change]
    improved: list[NGram]
    worsened: list[NGram]
    looked_at: int
    accuracy: list[Accuracy]
    counted: int  # sentences of which that is
    exact: bool  # whether single sentences were drawn


def compare(before: Sentences, after: Sentences, metric: str, library: Library) -> Comparison:
    """Compares the candidates of two runs.

    Args:
      before: of the earlier run.
      after: of the later run.
      metric: by which sentences and slices are compared.
      library: of statistics.
    """
    joined = _shared(before, after)
    alike = _have_same_references(before, after, joined)
    both = joined[0][alike], joined[1][alike]
    restated = int(after.where(SET, TEST)[joined[1][~alike]].sum())
    names = shared_metrics(before, after, library)
    pairs = {name: _statistics(before, after, name, both) for name in names}
    tested = after.where(SET, TEST)[both[1]]
    found = [
        _difference(name, name, [one[tested] for one in pair], GROUPS, library)
        for name, pair in pairs.items()
    ]
    slices = []
    for dimension, labels in after.dimensions.items():
        for label, _ in labels:
            inside = after.where(dimension, label)[both[1]]
            part = [one[inside] for one in pairs[metric]]
            if len(part[0]) > 1 and not np.array_equal(inside, tested):
                name = f"{dimension}={label}"
                slices.append(_difference(name, metric, part, SLICE_GROUPS, library))
    places = both[0][tested], both[1][tested]
    texts = [
        side.texts(CANDIDATE).take(pa.array(at))
        for side, at in zip((before, after), places, strict=True)
    ]
    differs = pc.fill_null(pc.not_equal(*texts), True).to_numpy(zero_copy_only=False)
    losses = [
        side.losses(library, CANDIDATE, metric)[at]
        for side, at in zip((before, after), places, strict=True)
    ]
    gain = np.where(differs, np.nan_to_num(losses[0] - losses[1]), 0.0)
    order = np.argsort(-gain, kind="stable")
    best = [int(i) for i in order[:SHOWN] if gain[i] > 0]
    worst = [int(i) for i in order[::-1][:SHOWN] if gain[i] < 0]

    def change(i: int) -> Change:
        row = after.row(int(places[1][i]))
        was, now = (text[i].as_py() for text in texts)
        return Change(row["id"], row["source"], row["references"], was, now, float(gain[i]))

    def answers_of(some: np.ndarray) -> tuple[list[list[str]], list[str], list[str]]:
        references = after.table["references"].take(pa.array(places[1][some])).to_pylist()
        was, now = (text.take(pa.array(some)).to_pylist() for text in texts)
        return references, was, now

    totals = [int(side.where(SET, TEST).sum()) for side in (before, after)]
    known = len(places[0]) + restated
    looked = _evenly(np.flatnonzero(differs), LOOKED_AT)
    improved, worsened = _ngrams(*answers_of(looked))
    # Not of those that differ alone: how many words are right is asked of all.
    counted = _evenly(np.arange(len(differs)), COUNTED)
    return Comparison(
        metric=metric,
        shared=len(places[0]),
        alone=(totals[0] - known, totals[1] - known),
        restated=restated,
        differing=int(differs.sum()),
        metrics=found,
        slices=slices,
        better=[change(i) for i in best],
        worse=[change(i) for i in worst],
        improved=improved,
        worsened=worsened,
        looked_at=len(looked),
        accuracy=_accuracy(after, places[1][counted], *answers_of(counted)),
        counted=len(counted),
        exact=len(places[0]) <= GROUPS,
    )


def shared_metrics(before: Sentences, after: Sentences, library: Library) -> list[str]:
    """What two runs can be compared by: both have it, and one has a figure of it at least."""
    sides = (before, after)
    return [
        name
        for name in after.metrics
        if name in before.metrics and any(side.tells(library, CANDIDATE, name) for side in sides)
    ]


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
    before: Sentences, after: Sentences, places: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Of which shared sentences the figures are comparable [N]; references have no order."""
    lists = [
        side.table["references"].take(pa.array(at)).to_pylist()
        for side, at in zip((before, after), places, strict=True)
    ]
    return np.array([sorted(was) == sorted(now) for was, now in zip(*lists, strict=True)], bool)


def _statistics(
    before: Sentences, after: Sentences, name: str, places: tuple[np.ndarray, np.ndarray]
) -> list[np.ndarray]:
    return [
        side.statistics(CANDIDATE, name)[at]
        for side, at in zip((before, after), places, strict=True)
    ]


def _difference(
    name: str, metric: str, pair: list[np.ndarray], groups: int, library: Library
) -> Difference:
    """A paired bootstrap; of many sentences groups are drawn.

    Sentences are independent, so the sums of groups that were put together at random vary
    as much as those of sentences that are drawn one by one.
    """
    number = len(pair[0])
    was, now = library.figures(metric, np.stack([one.sum(axis=0) for one in pair])).tolist()
    if number > groups:
        mixed = np.random.default_rng(SEED).permutation(number)
        starts = np.arange(groups) * number // groups
        pair = [np.add.reduceat(one[mixed], starts, axis=0) for one in pair]
    if number < 2:
        return Difference(name, number, was, now, float("-inf"), float("inf"), None)
    sums = library.resample(pair, RESAMPLES)
    drawn = [library.figures(metric, side) for side in sums]
    low, high = library.interval(drawn[1] - drawn[0])
    # Not of the figures: a ratio that went from too small to too large is neither.
    losses = [library.loss(metric, side) for side in drawn]
    least, most = library.interval(losses[1] - losses[0])
    better = most < 0 if least > 0 or most < 0 else None
    return Difference(name, number, was, now, low, high, better)


def _matches(references: Iterable[str], answer: str, orders: Orders) -> tuple[Counts, Counts]:
    """The n-grams of the reference that the answer has most of, and those that it has."""
    own = _of(answer, orders)
    pairs = [(asked, asked & own) for asked in (_of(text, orders) for text in references)]
    return max(pairs, key=lambda pair: (pair[1].total(), -pair[0].total()))


def _ngrams(
    references: Iterable[list[str]], before: Iterable[str], after: Iterable[str]
) -> tuple[list[NGram], list[NGram]]:
    """The n-grams of references that are answered more often than before, and less often."""
    wanted: Counts = Counter()
    had: tuple[Counts, Counts] = Counter(), Counter()
    for texts, *answers in zip(references, before, after, strict=True):
        asked, matched = zip(*(_matches(texts, answer, ORDERS) for answer in answers), strict=True)
        wanted.update(asked[0] | asked[1])
        for counter, some in zip(had, matched, strict=True):
            counter.update(some)
    gains = {text: had[1][text] - had[0][text] for text in had[0].keys() | had[1].keys()}
    order = sorted(gains, key=lambda text: (-gains[text], -wanted[text], text))
    told = [NGram(text, wanted[text], had[0][text], had[1][text]) for text in order]
    improved = [one for one in told[:SHOWN] if one.after > one.before]
    worsened = [one for one in told[::-1][:SHOWN] if one.after < one.before]
    return improved, worsened


def _of(text: str, orders: Orders) -> Counts:
    words = text.split()
    return Counter(
        " ".join(words[i : i + order]) for order in orders for i in range(len(words) - order + 1)
    )


def _accuracy(
    sentences: Sentences,
    places: np.ndarray,
    references: Iterable[list[str]],
    before: Iterable[str],
    after: Iterable[str],
) -> list[Accuracy]:
    """By how often the rarest word of the source was trained on, where that is a slice."""
    if RARITY not in sentences.dimensions:
        return []
    column = sentences.table["slices"].combine_chunks()
    labels = pc.struct_field(
        column, [[column.type.field(i).name for i in range(column.type.num_fields)].index(RARITY)]
    )
    sums: dict[str, np.ndarray] = {}
    for label, texts, *answers in zip(
        labels.take(pa.array(places)).to_pylist(), references, before, after, strict=True
    ):
        pairs = [_matches(texts, answer, WORDS) for answer in answers]
        found = np.array([[side.total() for side in pair] for pair in pairs])
        sums[label] = sums.get(label, 0) + found
    return [
        Accuracy(label, int(sums[label][1, 0]), *(sums[label][:, 1] / sums[label][:, 0]).tolist())
        for label, _ in sentences.dimensions[RARITY]
        if label in sums and sums[label][:, 0].all()
    ]
