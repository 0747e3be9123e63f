"""The fused Adam against Keras's own on dense gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.fused_adam import FusedAdam

TOKENS, WIDTH = 11, 5


def trained(optimizer, steps, dense):
    """An embedding, of which each step sees some rows, some of them twice, and a dense weight."""
    rng = np.random.default_rng(1)
    embedding = keras.Variable(rng.normal(size=(TOKENS, WIDTH)).astype("float32"))
    kernel = keras.Variable(rng.normal(size=(WIDTH, WIDTH)).astype("float32"))
    optimizer.build([embedding, kernel])

    @tf.function
    def step(ids, of_rows, of_kernel):
        slices = tf.IndexedSlices(of_rows, ids, tf.constant([TOKENS, WIDTH], tf.int64))
        gradients = [tf.convert_to_tensor(slices) if dense else slices, of_kernel]
        optimizer.apply(gradients, [embedding, kernel])

    for _ in range(steps):
        ids = rng.integers(0, TOKENS, 4)
        gradients = (rng.normal(size=(rows, WIDTH)) for rows in (len(ids), WIDTH))
        step(tf.constant(ids), *(tf.constant(x, tf.float32) for x in gradients))
    return embedding.numpy(), kernel.numpy()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1},
        {"global_clipnorm": 0.01, "epsilon": 1e-4},
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "ema_overwrite_frequency": 4},
        {"amsgrad": True},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.003, 20)},
    ],
    ids=lambda settings: next(iter(settings), "plain"),
)
def test_it_finds_the_weights_that_keras_finds(settings):
    settings = {"learning_rate": 0.003, **settings}
    found = trained(FusedAdam(**settings), 15, dense=False)
    expected = trained(keras.optimizers.Adam(**settings), 15, dense=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_its_config_makes_another():
    optimizer = FusedAdam(0.01, beta_2=0.98)
    twin = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(twin) is FusedAdam and twin.get_config() == optimizer.get_config()
