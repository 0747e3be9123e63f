"""The figures of many rows at once are those of each row."""

import random

import numpy as np
import pytest
import sacrebleu

from seq2seq_tfx.components.measure import Sentence
from seq2seq_tfx.components.metrics import MEASURES
from seq2seq_tfx.components.vectorized import figures, sentence_figures
from seq2seq_tfx.serving.told import Forced


@pytest.mark.parametrize("metric", sorted(MEASURES))
def test_many_figures_are_those_of_each_row(metric):
    generator = random.Random(1)
    measure = MEASURES[metric]

    def text():
        return " ".join(generator.choices(["the", "cat", "sat", "on", "a"], k=generator.choice(
            [0, 1, 2, 4, 5, 9])))  # fmt: skip

    def told():
        return {
            "forced": (Forced(-9 * generator.random(), generator.randint(1, 9), 1),),
            "confidence": {
                "ignored_source": generator.random(),
                "attention_entropy": 0.5,
                "source_length": 6,
                "target_length": 6,
            },
        }

    answers = [Sentence(text(), (text(), "the cat"), text(), **told()) for _ in range(150)]
    answers += [Sentence("a b c d e", ("a b c d e",), "x"), Sentence("", ("",), "")]
    rows = np.array([[*measure.statistics(sentence)] for sentence in answers], float)
    sums = np.add.reduceat(rows, np.arange(0, len(rows), 7))
    for some in (rows, sums):
        each = [measure.figure(row) for row in some.tolist()]
        np.testing.assert_allclose(figures(metric, some), each, rtol=1e-9, atol=1e-9)
    each = [measure.sentence_figure(row) for row in rows.tolist()]
    np.testing.assert_allclose(sentence_figures(metric, rows), each, rtol=1e-9, atol=1e-9)


def test_bleu_of_one_sentence_is_that_of_sacrebleu_however_short():
    generator = random.Random(2)
    texts = ["", *(" ".join(generator.choices("abcd", k=k)) for k in (1, 2, 3, 4, 5, 7) * 4)]
    pairs = [(answer, reference) for answer in texts for reference in texts if reference]
    rows = [MEASURES["bleu"].statistics(Sentence(a, (reference,))) for a, reference in pairs]
    alone = sacrebleu.BLEU(effective_order=True)
    each = [alone.sentence_score(answer, [reference]).score for answer, reference in pairs]
    np.testing.assert_allclose(sentence_figures("bleu", np.array(rows, float)), each, atol=1e-9)
    assert max(each[i] for i, pair in enumerate(pairs) if len(pair[0]) == 1) == pytest.approx(100)
