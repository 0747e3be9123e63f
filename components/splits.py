"""Which split a source belongs to: by hash, the same for ever."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from ..models import features
from ..models.configuration import Section
from .cleaning.together import no_letters_or_digits
from .readers.registry import InputFile
from .readers.rows import Extra

SPLITS = (features.TRAIN, features.VALIDATION, features.TEST)
# Of equal pairs that of the first is kept: what judges a model goes before what it learns.
PRECEDENCE = (features.TEST, features.VALIDATION, features.TRAIN)
# What a column may call them.
SPLIT_NAMES = {
    "train": features.TRAIN, "training": features.TRAIN,
    "validation": features.VALIDATION, "valid": features.VALIDATION,
    "val": features.VALIDATION, "dev": features.VALIDATION,
    "test": features.TEST,
}  # fmt: skip
SOURCE = "source"
COMPARABLE_SOURCE = "comparable_source"
ASCII_OTHERS = {code: " " for code in range(128) if not chr(code).isalnum()}


class SplitShares(Section):
    """Parts of the whole, by hash: what `by` names is never in two splits."""

    train: Annotated[int, Field(ge=1)] = 90
    validation: Annotated[int, Field(ge=1)] = 5
    test: Annotated[int, Field(ge=1)] = 5
    # What is hashed: the source; its letters, marks and digits alone, so that sources that
    # differ in nothing else stay together; or a column of `data.extra`, such as a document.
    by: Annotated[str, Field(min_length=1)] = SOURCE
    # A column of `data.extra` that names the split of each pair; shares are not looked at then.
    column: Annotated[str, Field(min_length=1)] | None = None


class Splitter:
    """Which split pairs belong to: by the file or the column that gives it, else by hash.

    Args:
      shares: the `data.splits` section.
      given: the split of each file, where inputs are split already.
    """

    def __init__(self, shares: SplitShares, given: dict[str, str]):
        self._shares = shares
        self._given = given

    @property
    def by_pair(self) -> bool:
        """Whether pairs of one source may belong to several splits."""
        by_source = self._shares.by in (SOURCE, COMPARABLE_SOURCE)
        return bool(self._given) or self._shares.column is not None or not by_source

    def splits(self, pairs: Sequence[tuple[str, str, Extra]]) -> list[str]:
        """The splits of pairs, each of (source, file, extra)."""
        if self._given:
            return [self._given[file] for _, file, _ in pairs]
        if self._shares.column is not None:
            column = self._shares.column
            return [SPLIT_NAMES[dict(extra)[column].lower()] for _, _, extra in pairs]
        if self._shares.by == COMPARABLE_SOURCE:
            keys = comparables([source for source, _, _ in pairs])
        elif self._shares.by == SOURCE:
            keys = [source for source, _, _ in pairs]
        else:
            keys = [dict(extra)[self._shares.by] for _, _, extra in pairs]
        return splits_of(keys, self._shares)


def splitter(shares: SplitShares, files: Sequence[InputFile]) -> Splitter:
    """The splitter of some inputs."""
    return Splitter(shares, {file.paths[0]: file.split for file in files if file.split})


def splits_of(keys: Sequence[str], shares: SplitShares) -> list[str]:
    """The splits of sources, or of what `by` puts in their place."""
    bounds = [shares.train, shares.train + shares.validation]
    whole = bounds[-1] + shares.test
    digests = b"".join([hashlib.sha256(key.encode()).digest() for key in keys])
    buckets = np.frombuffer(digests, ">u8")[::4] % np.uint64(whole)
    return [SPLITS[place] for place in np.searchsorted(bounds, buckets, side="right")]


def comparable(text: str) -> str:
    """The letters, marks and digits of a text, its case folded: what near twins have in common."""
    if text.isascii():  # the same, in less time
        return " ".join(text.lower().translate(ASCII_OTHERS).split()) or text
    folded = unicodedata.normalize("NFKC", text).casefold()
    others = no_letters_or_digits()
    return " ".join("".join(" " if others[ord(c)] else c for c in folded).split()) or text


def comparables(texts: Sequence[str]) -> list[str]:
    """`comparable` of each of several texts."""
    if any("\0" in text for text in texts):
        return list(map(comparable, texts))
    folded = unicodedata.normalize("NFKC", "\0".join(texts)).casefold()
    points = np.frombuffer(folded.encode("utf-32-le"), "<u4")
    spaced = np.where(no_letters_or_digits()[points] & (points != 0), np.uint32(32), points)
    found = spaced.tobytes().decode("utf-32-le").split("\0")
    return [" ".join(one.split()) or text for one, text in zip(found, texts, strict=True)]
