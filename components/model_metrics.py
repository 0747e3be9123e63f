"""Measures that a model's own figures decide, and not its text alone.

They need an export that tells them (`serving.local_model`); of one that does not, an earlier
version's or without attention, they are no number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..models import features
from .measure import Measure, Sentence

NOTHING = 0.0, 0.0
# Of an answer that may have nothing to do with its source: see `HallucinationRate`.
MOST_IGNORED = 0.5
MOST_SPREAD = 0.9
SHORTEST = 2  # tokens of both sides, EOS apart, of which attention tells anything


class Quotient(Measure):
    """A quotient of two sums; of nothing it is no number."""

    def figure(self, sums: Sequence[float]) -> float:
        return float(sums[0] / sums[1]) if sums[1] else math.nan


class Perplexity(Measure):
    """exp(-1/T sum log P(y_t | y_<t, x)) over the tokens of all references, EOS included.

    By teacher forcing, without label smoothing. A token is one of the model's own: models
    with other tokenizers are not to be compared.
    """

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        nats = -sum(one.log_prob for one in sentence.forced)
        return float(nats), float(sum(one.tokens for one in sentence.forced))

    def figure(self, sums: Sequence[float]) -> float:
        mean = sums[0] / sums[1] if sums[1] else math.nan
        return math.exp(mean) if not mean > 700 else math.inf


class TokenAccuracy(Quotient):
    """The share of the references' tokens that teacher forcing predicts first, EOS included."""

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        correct = sum(one.correct for one in sentence.forced)
        return float(correct), float(sum(one.tokens for one in sentence.forced))


class HallucinationRate(Quotient):
    """The share of answers whose attention is far from the source: candidates, no proof.

    An answer is one if it ignored more than half of the source that it could have read
    (`serving.confidence.of_attention`), or if its attention is spread, on average, over 0.9
    and more of the largest entropy, log S. Attention that lets go of the source is the mark
    of hallucinations in Lee et al. (2018) and Raunak et al. (2021). Where source or answer
    has fewer than two tokens, attention tells nothing, and the answer is none.
    """

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        told = sentence.confidence
        if features.IGNORED_SOURCE not in told:
            return NOTHING
        read, written = (told[name] for name in (features.SOURCE_LENGTH, features.TARGET_LENGTH))
        if min(read, written) <= SHORTEST:  # with EOS
            return 0.0, 1.0
        ignores = told[features.IGNORED_SOURCE] > MOST_IGNORED
        spread = told[features.ATTENTION_ENTROPY] >= MOST_SPREAD * math.log(read)
        return float(ignores or spread), 1.0


MODEL_MEASURES: dict[str, Measure] = {
    "perplexity": Perplexity(),
    "token_accuracy": TokenAccuracy(),
    "hallucination_rate": HallucinationRate(),
}
FORCED = ("perplexity", "token_accuracy")  # those that need the references to be scored
