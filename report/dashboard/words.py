"""The words and n-grams that two runs answered: which ones more often, which less often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ORDERS = (1, 2)  # of n-grams
SHOWN = 12

# How often a word was trained on, as `components.slices` divides it: up to each bound.
BOUNDS, LABELS = (0, 9, 99), ("0", "1-9", "10-99", "100+")

Words = tuple[np.ndarray, np.ndarray]  # of T words: the text that each is in, and its number
Counts = Counter[str]  # of n-grams


class NGram(NamedTuple):
    """Words of references, and how often the answers had them."""

    text: str
    wanted: int  # in the references that the answers are closest to
    before: int
    after: int


class Accuracy(NamedTuple):
    """Words of references that were answered, by how often they were trained on."""

    label: str
    words: int  # of the references that the later answers are closest to
    before: float
    after: float


def _matches(references: Iterable[str], answer: str) -> tuple[Counts, Counts]:
    """The n-grams of the reference that the answer has most of, and those that it has."""
    own = _of(answer)
    pairs = [(asked, asked & own) for asked in (_of(text) for text in references)]
    return max(pairs, key=lambda pair: (pair[1].total(), -pair[0].total()))


def ngrams(
    references: Iterable[list[str]], before: Iterable[str], after: Iterable[str]
) -> tuple[list[NGram], list[NGram]]:
    """The n-grams of references that are answered more often than before, and less often."""
    wanted: Counts = Counter()
    had: tuple[Counts, Counts] = Counter(), Counter()
    for texts, *answers in zip(references, before, after, strict=True):
        asked, matched = zip(*(_matches(texts, answer) for answer in answers), strict=True)
        wanted.update(asked[0] | asked[1])
        for counter, some in zip(had, matched, strict=True):
            counter.update(some)
    gains = {text: had[1][text] - had[0][text] for text in had[0].keys() | had[1].keys()}
    order = sorted(gains, key=lambda text: (-gains[text], -wanted[text], text))
    told = [NGram(text, wanted[text], had[0][text], had[1][text]) for text in order]
    improved = [one for one in told[:SHOWN] if one.after > one.before]
    worsened = [one for one in told[::-1][:SHOWN] if one.after < one.before]
    return improved, worsened


def _of(text: str) -> Counts:
    words = text.split()
    return Counter(
        " ".join(words[i : i + order]) for order in ORDERS for i in range(len(words) - order + 1)
    )


def accuracy(
    trained: pa.Table | None, references: pa.ListArray, before: pa.Array, after: pa.Array
) -> list[Accuracy]:
    """The words of references that were answered, each by how often it was trained on.

    Args:
      trained: how often words were, whatever the case of their letters; None if not known.
      references: of N sentences.
      before: the earlier answers [N].
      after: the later answers [N].
    """
    if trained is None:
        return []
    (asked, *answers), vocabulary = _words_of([pc.list_flatten(references), before, after])
    folded = pa.array([word.casefold() for word in vocabulary], pa.string())
    places = pc.index_in(folded, value_set=trained["word"].combine_chunks())
    times = pc.fill_null(trained["times"].combine_chunks().take(places), 0).to_numpy()
    bucket = np.searchsorted(BOUNDS, times)
    sentence = pc.list_parent_indices(references).to_numpy().astype(np.int64)
    was, now = (_answered(sentence, asked, had, bucket) for had in answers)
    return [
        Accuracy(label, int(now[0, i]), was[1, i] / was[0, i], now[1, i] / now[0, i])
        for i, label in enumerate(LABELS)
        if was[0, i] and now[0, i]
    ]


def _words_of(texts: Sequence[pa.Array]) -> tuple[list[Words], list[str]]:
    """The words of each array of texts, by their places in a vocabulary, and that."""
    lists = [pc.utf8_split_whitespace(pc.fill_null(some, "")) for some in texts]
    words = pa.concat_arrays([pc.list_flatten(some) for some in lists]).dictionary_encode()
    vocabulary = words.dictionary.to_pylist()
    ends = np.cumsum([len(pc.list_flatten(some)) for some in lists])[:-1]
    found = []
    for some, ids in zip(lists, np.split(words.indices.to_numpy(), ends), strict=True):
        # White space at an end of a text leaves an empty word.
        real = np.array([word != "" for word in vocabulary], bool)[ids]
        text = pc.list_parent_indices(some).to_numpy().astype(np.int64)
        found.append((text[real], ids[real].astype(np.int64)))
    return found, vocabulary


def _answered(sentence_R: np.ndarray, asked: Words, had: Words, bucket_V: np.ndarray) -> np.ndarray:
    """Words of the references that answers are closest to, by bucket: all, and those they had.

    Args:
      sentence_R: whose each reference is.
      asked: the words of the references.
      had: the words of the answers.
      bucket_V: of each word of the vocabulary.

    Returns:
      [2, L]
    """
    size, number = len(bucket_V), len(sentence_R)
    keys, wanted = np.unique(asked[0] * size + asked[1], return_counts=True)
    known, times = np.unique(had[0] * size + had[1], return_counts=True)
    known, times = np.append(known, np.iinfo(np.int64).max), np.append(times, 0)
    reference, word = np.divmod(keys, size)
    same = sentence_R[reference] * size + word  # in the answer to that sentence
    place = np.searchsorted(known, same)
    matched = np.where(known[place] == same, np.minimum(wanted, times[place]), 0)
    length, right = (np.bincount(reference, some, number) for some in (wanted, matched))
    best_first = np.lexsort((length, -right, sentence_R))
    _, first = np.unique(sentence_R[best_first], return_index=True)
    closest = np.isin(reference, best_first[first])
    bucket = bucket_V[word[closest]]
    return np.array([np.bincount(bucket, x[closest], len(LABELS)) for x in (wanted, matched)])
