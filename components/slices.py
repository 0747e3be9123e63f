"""Slices of the test split: what a sentence has in common with others, as labels.

A label is the same in every run, so that a slice can be followed over time.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

SET = "set"  # the test split, or a challenge set
SOURCE_LENGTH = "source_length"  # characters of the source
RAREST_WORD = "rarest_word"  # how often the source's rarest word was trained on

LENGTHS = (4, 8, 16, 32, 64, 128, 256)
COUNTS = (0, 9, 99)


def length_label(source: str) -> str:
    """The bucket of a source's length in characters; each is twice as wide as the last."""
    return _bucket(len(source), LENGTHS)


def rarity_label(source: str, counts: Mapping[str, int]) -> str:
    """The bucket of how often the rarest word of a source stood in the train split.

    Args:
      source: words are what white space separates, whatever the case of letters.
      counts: of words of the train split's sources; those left out were never seen.
    """
    return _bucket(min((counts.get(word, 0) for word in words_of(source)), default=0), COUNTS)


def dimensions_of(entry: str) -> tuple[str, ...]:
    """The dimensions that an entry of `evaluation.slices` puts together, such as 'a, b'."""
    return tuple(name.strip() for name in entry.split(","))


def parts_of(name: str, dimensions: Iterable[str]) -> list[tuple[str, str | None]]:
    """What a slice is named by: dimensions, each with its label, or None where any is meant.

    Args:
      name: such as 'domain, source_length=1-4'; a label may hold commas and equals signs.
      dimensions: that there are: what else follows a comma belongs to the label before it.
    """
    known = "|".join(map(re.escape, dimensions))
    parts = re.split(rf",\s*(?=(?:{known})\s*(?:=|,|$))", name) if known else [name]
    found = [part.partition("=") for part in parts]
    return [(one.strip(), label if equals else None) for one, equals, label in found]


def slice_name(labels: Mapping[str, str]) -> str:
    """How a slice is told, by the label of each of its dimensions."""
    return ", ".join(f"{name}={label}" for name, label in sorted(labels.items()))


def words_of(text: str) -> list[str]:
    """The words by which rarity is told."""
    return text.casefold().split()


def by_size(label: str) -> tuple[int, str]:
    """The order in which labels are told: buckets by their numbers, others by their names."""
    digits = label.partition("-")[0].rstrip("+")
    is_number = digits.isdecimal() and len(digits) < 19
    return (int(digits), label) if is_number else (0, label)


def count_words(texts: Iterable[str], wanted: Collection[str]) -> Counter[str]:
    """How often words stand in texts.

    Args:
      texts: of the train split.
      wanted: the only words that are counted, so that memory does not grow with the data.
    """
    return Counter(word for text in texts for word in words_of(text) if word in wanted)


def _bucket(number: int, bounds: Sequence[int]) -> str:
    place = bisect_left(bounds, number)
    if place == len(bounds):
        return f"{bounds[-1] + 1}+"
    low = bounds[place - 1] + 1 if place else min(1, bounds[0])
    high = bounds[place]
    return str(high) if low >= high else f"{low}-{high}"
