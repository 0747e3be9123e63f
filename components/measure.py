"""What a metric of generated text is: sums of sentence statistics, and a figure made of them.

So a figure of a corpus can be summed by Beam, sliced, and resampled, without looking
at a text twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from ..serving.told import Forced

Figures = TypeVar("Figures", float, np.ndarray)


class Sentence(NamedTuple):
    """An answer and what it is compared with."""

    hypothesis: str
    references: tuple[str, ...]
    source: str = ""
    forced: tuple[Forced, ...] = ()  # of each reference, where that was asked
    confidence: Mapping[str, float] = {}  # what the model told of its answer


class Measure:
    """A figure of a corpus that sums of sentence statistics determine."""

    higher_is_better = True

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        """The statistics of one sentence, always as many; the corpus has their sum."""
        raise NotImplementedError

    def figure(self, sums: Sequence[float]) -> float:
        """The figure of a corpus."""
        raise NotImplementedError

    def sentence_figure(self, statistics: Sequence[float]) -> float:
        """The figure of one sentence alone."""
        return self.figure(statistics)

    def loss(self, figures: Figures) -> Figures:
        """Figures as losses: larger is worse."""
        return -figures if self.higher_is_better else figures

    def signature(self, references: Collection[int]) -> str | None:
        """How the figure was computed, where the field has a way to write that.

        Args:
          references: the numbers of references that sentences had.
        """
        return None


class Share(Measure):
    """A quotient of two sums; of nothing it is 0."""

    def figure(self, sums: Sequence[float]) -> float:
        return sums[0] / sums[1] if sums[1] else 0.0
