"""The promises of the statistics: sacreBLEU's resamples, and bounds that mean what they say."""

import math

import numpy as np
import pytest
import sacrebleu
from sacrebleu import significance

from seq2seq_tfx.components import bootstrap
from seq2seq_tfx.components.bootstrap import (
    figures,
    holm,
    interval,
    is_small,
    p_value,
    resample,
    upper_bound,
)
from seq2seq_tfx.components.measure import Sentence
from seq2seq_tfx.components.metrics import MEASURES

WORDS = ["the", "a", "cat", "dog", "house", "sees", "runs", "to", "from", "old", "new", "very"]


def corpus(seed, size=40):
    generator = np.random.default_rng(seed)
    references = [" ".join(generator.choice(WORDS, generator.integers(4, 12))) for _ in range(size)]
    noisy = [
        " ".join(w if generator.random() < 0.8 else generator.choice(WORDS) for w in text.split())
        for text in references
    ]
    return noisy, references


METRICS = {
    "bleu": sacrebleu.BLEU(force=True),
    "chrf": sacrebleu.CHRF(),
    "chrf++": sacrebleu.CHRF(word_order=2),
    "ter": sacrebleu.TER(),
}


@pytest.mark.parametrize("name", METRICS)
def test_resampled_scores_are_those_of_sacrebleu(name, monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    monkeypatch.setattr(bootstrap, "DRAWN_AT_ONCE", 130)  # three test sets at a time
    hypotheses, references = corpus(1)
    metric = METRICS[name]
    theirs = metric._extract_corpus_statistics(hypotheses, [references])
    _, scores = significance._bootstrap_resample(theirs, metric, n_samples=50)

    sentences = [Sentence(h, (r,)) for h, r in zip(hypotheses, references, strict=True)]
    ours = np.array([MEASURES[name].statistics(sentence) for sentence in sentences], float)
    resampled = figures(resample({name: ours}, 50, seed=7)[name], MEASURES[name].figure)
    # sacreBLEU computes them in single precision.
    assert resampled == pytest.approx([score.score for score in scores], rel=1e-6)
    assert len(set(resampled)) > 30


def test_the_mean_and_interval_of_a_system_are_those_of_sacrebleus_paired_test(monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "12345")
    hypotheses, references = corpus(2)
    other, _ = corpus(3)
    test = significance.PairedTest(
        [("base", other), ("new", hypotheses)],
        {"BLEU": sacrebleu.BLEU(references=[references])},
        references=None, test_type="bs", n_samples=400,
    )  # fmt: skip
    _, results = test()
    theirs = results["BLEU"][1]
    measure = MEASURES["bleu"]
    ours = np.array(
        [measure.statistics(Sentence(h, (r,))) for h, r in zip(hypotheses, references, strict=True)]
    )
    scores = figures(resample({"bleu": ours}, 400, seed=12345)["bleu"], measure.figure)
    assert scores.mean() == pytest.approx(theirs.mean, abs=1e-4)
    # Theirs lies between two order statistics, ours is interpolated between their neighbours.
    low, high = interval(scores, 0.95)
    assert (high - low) / 2 == pytest.approx(theirs.ci, rel=0.05)


def test_an_interval_leaves_as_many_out_at_either_end():
    assert interval(np.arange(1001.0)[::-1], 0.95) == pytest.approx((25, 975))
    assert interval(np.arange(1001.0), 0.8) == pytest.approx((100, 900))


def test_both_models_are_drawn_alike_and_a_seed_decides_the_draws():
    values = np.random.default_rng(0).normal(size=(30, 2))
    one = resample({"a": values, "b": values[:, :1]}, 20, seed=1)
    assert one["a"].shape == (20, 2)
    np.testing.assert_array_equal(one["a"][:, :1], one["b"])
    np.testing.assert_array_equal(one["a"], resample({"a": values}, 20, seed=1)["a"])
    assert not np.array_equal(one["a"], resample({"a": values}, 20, seed=2)["a"])


def test_a_drawn_test_set_has_the_size_of_the_test_set():
    counted = resample({"n": np.ones((17, 1))}, 25, seed=3)["n"]
    np.testing.assert_array_equal(counted, np.full((25, 1), 17.0))


# The last two as a confidence of 0.9 and of 0.8 give them, a little below 0.1 and 0.2.
@pytest.mark.parametrize("level", [0.001, 0.01, 0.05, 0.0125, 0.5, 1 - 0.9, 1 - 0.8])
def test_a_bound_below_the_margin_and_a_small_p_value_say_the_same(level):
    losses = np.random.default_rng(5).normal(size=999).round(1)  # with ties
    for margin in np.unique(losses):
        small = is_small(p_value(losses, margin), level)
        assert (upper_bound(losses, level) < margin) == small
    beyond = np.repeat([2.0, 0.0], [round(1000 * level) - 1, 1000 - round(1000 * level)])
    assert len(beyond) == 999 and is_small(p_value(beyond, 1.0), level)


def test_a_bound_is_the_loss_that_few_resamples_exceed():
    losses = np.arange(1.0, 100.0)  # 99 of them: 5 of 100 may lie beyond
    assert upper_bound(losses, 0.05) == 95
    assert p_value(losses, 96) == 0.05
    assert p_value(losses, 95) == 0.06  # 95 itself is not below
    assert p_value(losses, 95 + 1e-12) == 0.06  # nor what rounding makes of it
    assert upper_bound(losses, 0.001) == math.inf  # more resamples would be needed
    assert upper_bound(losses, 0.01) == 99
    assert p_value(losses, 1000) == 0.01


def test_no_number_is_a_loss_beyond_every_margin():
    losses = np.array([0.0] * 98 + [math.nan])
    assert p_value(losses, 1.0) == 0.02
    assert upper_bound(losses, 0.01) == math.inf
    assert p_value(np.full(99, math.nan), 1.0) == 1


def test_equal_models_lose_nothing():
    losses = np.zeros(999)
    assert upper_bound(losses, 0.05) == 0
    assert p_value(losses, 1e-6) == 0.001
    assert p_value(losses, 0.0) == 1


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [  # Holm (1979): in order against 0.05 / 4, / 3, / 2, / 1
        ({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, "ad"),
        ({"a": 0.01, "b": 0.02, "c": 0.015, "d": 0.005}, "abcd"),
        ({"a": 0.013, "b": 0.001, "c": 0.03, "d": 0.9}, "ab"),
        ({"a": 0.02, "b": 0.02, "c": 0.02, "d": 0.02}, ""),
        ({"a": 0.05}, "a"),
        ({}, ""),
    ],
)
def test_holm_rejects_in_order_until_one_is_too_large(p_values, rejected):
    steps = holm(p_values, 0.05)
    assert list(steps) == list(p_values)
    assert "".join(name for name, step in steps.items() if step.rejected) == rejected


@pytest.mark.slow
def test_the_bound_covers_a_known_loss_about_as_often_as_it_says():
    # A true loss of 0: the bound must not fall below it in more than about 5 of 100 cases.
    generator = np.random.default_rng(11)
    below = 0
    for seed in range(300):
        losses = generator.normal(size=(200, 1))
        sums = resample({"loss": losses}, 199, seed)["loss"][:, 0]
        below += upper_bound(sums, 0.05) < 0
    assert 3 <= below <= 30
