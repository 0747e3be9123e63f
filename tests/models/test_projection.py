"""Projection against the layer of Keras whose place it takes."""

import keras
import numpy as np
import pytest

from seq2seq_tfx.models.projection import Projection

from .equations import affine
from .tiny import ON_TENSORFLOW

tensorflow_only = pytest.mark.skipif(not ON_TENSORFLOW, reason="TensorFlow's tape and graphs")


@pytest.mark.parametrize("settings", [{}, {"use_bias": False}, {"activation": "tanh"}])
@pytest.mark.parametrize("shape", [(7, 3), (4, 7, 3), (2, 4, 7, 3)])
def test_values_are_those_of_numpy(shape, settings):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=shape).astype("float32")
    layer = Projection(5, **settings)
    layer.build(shape)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    expected = affine(layer, inputs)
    expected = np.tanh(expected) if "activation" in settings else expected
    np.testing.assert_allclose(layer(inputs), expected, atol=1e-5)


@tensorflow_only
@pytest.mark.parametrize("settings", [{}, {"use_bias": False}, {"activation": "tanh"}])
@pytest.mark.parametrize("shape", [(7, 3), (4, 7, 3), (2, 4, 7, 3)])
def test_values_and_gradients_are_those_of_dense(shape, settings):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=shape), tf.float32)
    direction = tf.constant(rng.normal(size=(*shape[:-1], 5)), tf.float32)
    weights, found = None, []
    for layer in (keras.layers.Dense(5, **settings), Projection(5, **settings)):
        layer.build(shape)
        weights = weights or [rng.normal(size=w.shape) for w in layer.get_weights()]
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(outputs * direction)
        variables = [w.value for w in layer.trainable_weights]
        found.append([outputs, *tape.gradient(loss, [inputs, *variables])])
    assert len(found[0]) == len(found[1])
    for expected, value in zip(*found, strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)


@tensorflow_only
def test_axes_of_unknown_length_keep_their_places():
    import tensorflow as tf

    layer = Projection(5)
    layer.build((None, None, 3))

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3])])
    def apply(inputs):
        return layer(inputs)

    inputs = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(apply(inputs), inputs @ kernel + bias, atol=1e-5)
