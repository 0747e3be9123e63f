"""The metrics of generated text, by the names that a configuration gives them.

The statistics of BLEU, chrF, chrF++ and TER are sacreBLEU's own (Post, 2018), those of
ROUGE come from rouge-score, edit distances from RapidFuzz.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from typing import Any, Literal

import sacrebleu
from rapidfuzz.distance import Levenshtein
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from .degeneration import DEGENERATION
from .measure import Figures, Measure, Sentence, Share
from .model_metrics import MODEL_MEASURES

TextMetricName = Literal[  # what answers and references alone decide
    "sequence_error_rate",
    "exact_match",
    "token_error_rate",
    "bleu",
    "chrf",
    "chrf++",
    "ter",
    "rouge1",
    "rouge2",
    "rougeL",
    "length_ratio",
    "repetition_rate",
    "copy_rate",
    "empty_rate",
    "unknown_token_rate",
]
MetricName = Literal[TextMetricName, "perplexity", "token_accuracy", "hallucination_rate"]


class SequenceErrorRate(Share):
    """The share of hypotheses that equal none of their references.

    For grapheme-to-phoneme conversion, where a sequence is a word, this is the
    literature's word error rate.
    """

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        return float(sentence.hypothesis not in sentence.references), 1.0


class ExactMatch(Share):
    """The share of hypotheses that equal one of their references."""

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        return float(sentence.hypothesis in sentence.references), 1.0


class TokenErrorRate(Measure):
    """Edit distance to the closest reference over its length, in whitespace tokens.

    The word error rate of speech and translation; the phoneme error rate of
    grapheme-to-phoneme conversion.
    """

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        tokens = sentence.hypothesis.split()
        errors, length = min(
            (Levenshtein.distance(tokens, reference), len(reference))
            for reference in (text.split() for text in sentence.references)
        )
        return float(errors), float(length)

    def figure(self, sums: Sequence[float]) -> float:
        return float(sums[0] / max(sums[1], 1.0))


class SacreBleu(Measure):
    """A corpus metric of sacreBLEU, from the sentence statistics it sums itself.

    The statistics are behind underscores there; `test_metrics` holds the
    figures to sacreBLEU's public ones.

    Args:
      metric: sacreBLEU's own object.
      higher_is_better: whether a larger figure is a better one.
      alone: the same for one sentence, where sacreBLEU has another for it.
    """

    def __init__(self, metric: Any, higher_is_better: bool = True, alone: Any = None):
        self._metric = metric
        self._alone = alone or metric
        self.higher_is_better = higher_is_better

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        return self._metric._extract_corpus_statistics(
            [sentence.hypothesis], [[reference] for reference in sentence.references]
        )[0]

    def figure(self, sums: Sequence[float]) -> float:
        return self._score(self._metric, sums)

    def sentence_figure(self, statistics: Sequence[float]) -> float:
        return self._score(self._alone, statistics)

    @staticmethod
    def _score(metric: Any, sums: Sequence[float]) -> float:
        # Counts, but for TER's mean lengths of references.
        whole = [round(value) if float(value).is_integer() else value for value in sums]
        return float(metric._compute_score_from_stats(whole).score)

    def signature(self, references: Collection[int]) -> str:
        self._metric.num_refs = min(references) if len(set(references)) == 1 else -1
        return str(self._metric.get_signature())


class LengthRatio(Measure):
    """The length of the answers over that of the references, as BLEU counts both."""

    _bleu = sacrebleu.BLEU(force=True)

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        # No n-grams are counted for it: they cost far more.
        length, *others = map(self._length, (sentence.hypothesis, *sentence.references))
        closest = min(others, key=lambda other: (abs(other - length), other))
        return float(length), float(closest)

    def _length(self, text: str) -> int:
        words = text.split()
        # `13a` divides at what is neither letter nor digit, and its expressions take time.
        if "".join(words).isalnum():
            return len(words)
        return len(self._bleu._preprocess_segment(text).split())

    def figure(self, sums: Sequence[float]) -> float:
        return float(sums[0] / sums[1]) if sums[1] else 0.0

    def loss(self, figures: Figures) -> Figures:
        return abs(figures - 1.0)  # answers may be too long and too short


class _Words(Tokenizer):
    """Lower-cased runs of letters, marks and digits of any script.

    On ASCII text these are rouge-score's own tokens; its own rule takes every other
    letter for white space.
    """

    def tokenize(self, text: str) -> list[str]:
        kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in text.lower())
        return "".join(kept).split()


class Rouge(Share):
    """The mean F-measure of rouge-score (Lin, 2004), of the reference that gives most.

    Args:
      name: rouge-score's.
    """

    def __init__(self, name: str):
        self._name = name
        self._scorer = RougeScorer([name], tokenizer=_Words())

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        found = self._scorer.score_multi(sentence.references, sentence.hypothesis)
        return float(found[self._name].fmeasure), 1.0


MEASURES: dict[str, Measure] = {
    "sequence_error_rate": SequenceErrorRate(),
    "exact_match": ExactMatch(),
    "token_error_rate": TokenErrorRate(),
    # `force` only silences a warning about tokenized input. Of a sentence of fewer than four
    # tokens the orders that it has are all: else no answer to it, however good, had a score.
    "bleu": SacreBleu(
        sacrebleu.BLEU(force=True), alone=sacrebleu.BLEU(force=True, effective_order=True)
    ),
    "chrf": SacreBleu(sacrebleu.CHRF()),
    "chrf++": SacreBleu(sacrebleu.CHRF(word_order=2)),
    "ter": SacreBleu(sacrebleu.TER(), higher_is_better=False),
    "rouge1": Rouge("rouge1"),
    "rouge2": Rouge("rouge2"),
    "rougeL": Rouge("rougeL"),
    "length_ratio": LengthRatio(),
    **DEGENERATION,
    **MODEL_MEASURES,
}

# They cost next to nothing, and a model that is broken shows in them: always measured.
ALWAYS: tuple[str, ...] = ("length_ratio", *DEGENERATION, "hallucination_rate")


def sizes(names: Sequence[str]) -> dict[str, int]:
    """How many statistics each measure has."""
    probe = Sentence("a", ("a",), "a")
    return {name: len(MEASURES[name].statistics(probe)) for name in names}


def signatures(names: Sequence[str], references: Collection[int]) -> dict[str, str]:
    """How those figures were computed of which the field has a way to write that.

    Args:
      names: of measures.
      references: the numbers of references that sentences had.
    """
    found = {name: MEASURES[name].signature(references) for name in names}
    return {name: signature for name, signature in found.items() if signature}
