"""The words and n-grams that two runs answered: which ones more often, which less often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .sentences import Sentences

RARITY = "rarest_word"
ORDERS, WORDS = (1, 2), (1,)  # of n-grams
SHOWN = 12

Orders = tuple[int, ...]
Counts = Counter[str]  # of n-grams


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


def _matches(references: Iterable[str], answer: str, orders: Orders) -> tuple[Counts, Counts]:
    """The n-grams of the reference that the answer has most of, and those that it has."""
    own = _of(answer, orders)
    pairs = [(asked, asked & own) for asked in (_of(text, orders) for text in references)]
    return max(pairs, key=lambda pair: (pair[1].total(), -pair[0].total()))


def ngrams(
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


def accuracy(
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
