"""Margins that leave room for the noise of training, by the gate's own comparison."""

import itertools

import numpy as np
import pytest

from seq2seq_tfx.components.calibration import calibrate
from seq2seq_tfx.components.evaluation import Evaluation
from seq2seq_tfx.components.judgement import GateConfig, judge
from seq2seq_tfx.components.sentences import BASELINE, CANDIDATE, Statistics

SENTENCES = 300
METRICS = ["sequence_error_rate", "exact_match", "length_ratio"]


def trainings(rates, seed=3):
    generator = np.random.default_rng(seed)
    return {
        number: np.stack([generator.random(SENTENCES) < rate, np.ones(SENTENCES)], axis=1) * 1.0
        for number, rate in enumerate(rates)
    }


def config(metric, margin):
    return GateConfig(
        thresholds={"sequence_error_rate": {"max": 1.0}}, max_loss={metric: margin}, resamples=200
    )


def passes(gate, metric, candidate, baseline):
    """Whether the gate itself would let a training pass beside another."""
    both = Statistics(
        [{"set": "test"}] * SENTENCES,
        {CANDIDATE: {metric: candidate}, BASELINE: {metric: baseline}},
    )
    figures = {"sequence_error_rate": 0.3, "empty_rate": 0.0, "repetition_rate": 0.0}
    whole = Evaluation(metrics=figures, examples=SENTENCES)
    return all(rule.passed for rule in judge(gate, whole, both))


@pytest.mark.parametrize("metric", METRICS)
def test_alarms_are_how_often_the_gate_itself_holds_back(metric):
    found, gate = trainings([0.3, 0.33, 0.28, 0.36]), config(metric, 0.05)
    held = [
        not passes(gate, metric, found[one], found[other])
        for one, other in itertools.permutations(found, 2)
    ]
    calibration = calibrate(found, metric, gate)
    assert calibration.pairs == len(held) == 12
    assert 0 < sum(held) < 12
    assert calibration.alarms == pytest.approx(np.mean(held))


def alarms(trainings, metric, margin):
    return calibrate(trainings, metric, config(metric, margin)).alarms


@pytest.mark.parametrize("metric", METRICS)
def test_with_the_suggested_margin_as_many_pass_as_the_gate_is_confident(metric):
    found = trainings([0.3] * 6)
    suggested = calibrate(found, metric, config(metric, 0.0)).suggested
    assert suggested == float(f"{suggested:.2g}")  # as it is printed
    assert alarms(found, metric, suggested) <= 0.05
    assert alarms(found, metric, suggested * 0.9) > 0.05 - 1 / 30


def test_of_trainings_that_tie_the_suggested_margin_lets_all_pass():
    one = trainings([0.05])[0]
    nearly = {}
    for seed in range(8):
        nearly[seed] = one.copy()
        nearly[seed][seed, 0] = 1 - one[seed, 0]
    for found in (nearly, dict.fromkeys(range(6), one)):
        suggested = calibrate(found, METRICS[0], config(METRICS[0], 0.0)).suggested
        assert alarms(found, METRICS[0], suggested) == 0
        gate = config(METRICS[0], suggested)
        assert all(
            passes(gate, METRICS[0], found[a], found[b])
            for a, b in itertools.permutations(found, 2)
        )


def test_where_a_figure_is_no_number_no_margin_is_suggested():
    untold = {seed: np.zeros((SENTENCES, 2)) for seed in range(3)}
    assert calibrate(untold, "hallucination_rate", config("bleu", 1.0)).suggested is None


def test_one_training_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="two trainings or more, received 1"):
        calibrate(trainings([0.3]), "exact_match", config("exact_match", 0.1))
