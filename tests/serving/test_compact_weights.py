"""Weights in fewer bytes: near their own values, and what the network computes with."""

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.compact_weights import CompactWeights
from seq2seq_tfx.serving.predictor import Predictor


class Numbers:
    """Stands for a variable."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_no_weight_moves_by_more_than_half_a_step(kind):
    values = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32) * [1e-3, 1, 100]
    values[:, 1] = 0.0
    compact = CompactWeights([Numbers(values)], kind)
    wide = compact.values[0].numpy().astype(np.float64) * compact.scales[0].numpy()
    step = (
        np.spacing(np.abs(values).astype(np.float16)).astype(np.float64)
        if kind == "float16"
        else np.abs(values).max(axis=0) / 127
    )
    assert np.all(np.abs(wide - values) <= 0.501 * step)


def test_vectors_stay_as_they_are_in_int8_and_large_ones_finite_in_float16():
    bias = np.array([0.1, -1e-7, 1e6], np.float32)
    np.testing.assert_array_equal(CompactWeights([Numbers(bias)], "int8").values[0], bias)
    assert np.isfinite(CompactWeights([Numbers(bias)], "float16").values[0].numpy()).all()


@pytest.mark.slow
def test_answers_are_those_of_a_network_with_the_rounded_weights(exported, new_predictor):
    compact = CompactWeights(exported.model.weights, "int8")
    plain = exported.predictor
    tokenizers = plain.source_tokenizer, plain.target_tokenizer
    text = tf.constant(["the fox", "", "quick brown"])
    own = [np.array(variable) for variable in exported.model.weights]
    predictor = Predictor(exported.model, *tokenizers, exported.search, 12, compact)
    narrow = predictor.nbest(text)
    try:
        for variable, values, scale in zip(
            exported.model.weights, compact.values, compact.scales, strict=True
        ):
            variable.assign(tf.cast(values, tf.float32) * scale)
        rounded = plain.nbest(text)
    finally:
        for variable, values in zip(exported.model.weights, own, strict=True):
            variable.assign(values)
    np.testing.assert_array_equal(narrow[features.TEXT], rounded[features.TEXT])
    np.testing.assert_allclose(narrow[features.SCORE], rounded[features.SCORE], atol=1e-5)
