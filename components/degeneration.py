"""Measures that catch a broken generator, whatever its other figures say.

They need no tokenizer of a language: a token is what white space separates.
"""

from __future__ import annotations

from collections.abc import Sequence

from .measure import Measure, Sentence, Share

UNKNOWN = "\u2047"  # what SentencePiece writes for an unknown token
REPEATED = 4  # tokens of the n-grams that are looked for


class RepetitionRate(Share):
    """The share of 4-grams that stood in the same answer before.

    `seq-rep-4` of Welleck et al. (2020), summed over the corpus. An answer without
    white space is looked at by characters.
    """

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        tokens: Sequence[str] = sentence.hypothesis.split()
        if len(tokens) == 1:
            tokens = tokens[0]
        grams = [tuple(tokens[i : i + REPEATED]) for i in range(len(tokens) - REPEATED + 1)]
        return float(len(grams) - len(set(grams))), float(len(grams))


class CopyRate(Share):
    """The share of answers that are their source, where no reference is."""

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        source = sentence.source.split()
        copied = sentence.hypothesis.split() == source
        meant = any(reference.split() == source for reference in sentence.references)
        return float(copied and not meant), 1.0


class EmptyRate(Share):
    """The share of answers without a character that is no white space."""

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        return float(not sentence.hypothesis.strip()), 1.0


class UnknownTokenRate(Share):
    """Unknown tokens over all tokens of the answers."""

    higher_is_better = False

    def statistics(self, sentence: Sentence) -> Sequence[float]:
        tokens = sentence.hypothesis.replace(UNKNOWN, f" {UNKNOWN} ").split()
        return float(tokens.count(UNKNOWN)), float(len(tokens))


DEGENERATION: dict[str, Measure] = {
    "repetition_rate": RepetitionRate(),
    "copy_rate": CopyRate(),
    "empty_rate": EmptyRate(),
    "unknown_token_rate": UnknownTokenRate(),
}
