"""The promises of metrics that models tell themselves, against sums by hand."""

import math

import numpy as np
import pytest

from seq2seq_tfx.components.decoding import FORCED_ROWS, answered, scored
from seq2seq_tfx.components.measure import Sentence
from seq2seq_tfx.components.metrics import MEASURES
from seq2seq_tfx.components.sentences import compare, new_row
from seq2seq_tfx.components.vectorized import figures
from seq2seq_tfx.serving.local_model import Hypothesis
from seq2seq_tfx.serving.told import Assessed, Forced

FORCED = [(Forced(-3.0, 2, 2), Forced(-1.0, 3, 1)), (Forced(-6.5, 4, 0),)]


def sums(name, sentences):
    return np.sum([MEASURES[name].statistics(s) for s in sentences], axis=0).tolist()


def of(forced=(), **confidence):
    return Sentence("a", ("a",), "a", forced, confidence)


def attention(ignored, entropy, read=6, written=6):
    return of(
        ignored_source=ignored,
        attention_entropy=entropy,
        source_length=read,
        target_length=written,
    )


def test_every_reference_counts_for_perplexity_and_token_accuracy():
    sentences = [of(forced) for forced in FORCED]
    perplexity = MEASURES["perplexity"].figure(sums("perplexity", sentences))
    assert perplexity == pytest.approx(math.exp((3.0 + 1.0 + 6.5) / 9), rel=1e-12)
    accuracy = MEASURES["token_accuracy"].figure(sums("token_accuracy", sentences))
    assert accuracy == pytest.approx(3 / 9, rel=1e-12)


def test_a_hopeless_model_has_a_perplexity_without_end_and_no_error():
    assert MEASURES["perplexity"].figure([1e5, 10.0]) == math.inf


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (attention(0.5, 0.1), [0, 1]),
        (attention(0.51, 0.1), [1, 1]),  # most of the source was never looked at
        (attention(0.0, 0.9 * math.log(6)), [1, 1]),  # it looked nowhere in particular
        (attention(0.0, 0.89 * math.log(6)), [0, 1]),
        (attention(1.0, 0.6, read=2), [0, 1]),  # a token and EOS: nothing to tell
        (attention(1.0, 0.6, written=2), [0, 1]),
        (of(mean_log_prob=-1.0), [0, 0]),  # no attention
    ],
)
def test_an_answer_is_a_candidate_of_hallucination_by_the_stated_rule(sentence, expected):
    assert list(MEASURES["hallucination_rate"].statistics(sentence)) == expected


@pytest.mark.parametrize("name", ["perplexity", "token_accuracy", "hallucination_rate"])
def test_what_no_model_told_is_no_number(name):
    found = sums(name, [of(), of()])
    assert math.isnan(MEASURES[name].figure(found))
    assert np.isnan(figures(name, np.array([found])))[0]


class Scorer:
    """Scores by lengths, and tells how many rows it was given at once."""

    def __init__(self, *signatures):
        self._signatures, self.rows = signatures, []

    def has(self, signature):
        return signature in self._signatures

    def force(self, sources, references):
        self.rows.append(len(sources))
        return [Forced(-len(r), len(s), 1) for s, r in zip(sources, references, strict=True)]

    def assess(self, sources):
        return [Assessed(s, 0.5, -1.0, {"mean_log_prob": -0.5}) for s in sources]

    def predict(self, sources):
        return [[Hypothesis(s, 0.5, -1.0)] for s in sources]


def test_each_reference_is_scored_with_its_source_and_few_at_once():
    rows = [
        new_row("s" * (i % 7), ["r" * (i % 5), "x"][: 1 + i % 2], {"set": "t"}) for i in range(300)
    ]
    model = Scorer()
    for row, forced in zip(rows, scored(model, rows), strict=True):
        assert [(-one.log_prob, one.tokens) for one in forced] == [
            (len(text), len(row["source"])) for text in row["references"]
        ]
    assert sum(model.rows) == 450 and max(model.rows) == FORCED_ROWS


def test_what_a_model_tells_is_kept_with_its_answer_and_an_older_one_answers_too():
    row = new_row("a b", ["a b", "c"], {"set": "test"})
    (told,), (silent,) = answered(Scorer("confidence"), [row]), answered(Scorer(), [row])
    assert told == {
        "text": "a b",
        "score": 0.5,
        "log_prob": -1.0,
        "confidence": {"mean_log_prob": -0.5},
    }
    assert silent == {"text": "a b", "score": 0.5, "log_prob": -1.0}
    forced = [
        {"log_prob": -2.0, "tokens": 3, "correct": 2},
        {"log_prob": -4.0, "tokens": 1, "correct": 0},
    ]
    compared = compare(
        {**row, "candidate": {**told, "forced": forced}, "baseline": silent}, ["perplexity"]
    )
    assert compared["candidate"]["statistics"]["perplexity"] == [6, 4]
    assert compared["baseline"]["statistics"]["perplexity"] == [0, 0]
