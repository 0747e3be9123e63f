"""The learning rate goes as the paper says, and every optimizer moves weights as its name says."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.gradient_norm import gradient_norm
from seq2seq_tfx.components.optimizers import InverseSquareRoot, optimizer_of
from seq2seq_tfx.components.trainer import TrainingConfig


def rates(optimizer, steps):
    found = []
    for step in range(steps):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return np.array(found)


def test_the_inverse_square_root_is_that_of_vaswani():
    width, warm = 512, 40
    training = TrainingConfig(
        schedule="inverse_sqrt", warmup_steps=warm, learning_rate=(width * warm) ** -0.5
    )
    n = np.arange(1, 401)
    paper = width**-0.5 * np.minimum(n**-0.5, n * warm**-1.5)
    np.testing.assert_allclose(rates(optimizer_of(training, 10), 400), paper, rtol=1e-5)


def test_the_cosine_warms_up_and_ends_at_zero_with_the_last_epoch():
    training = TrainingConfig(epochs=3, warmup_steps=10, learning_rate=0.5)
    found = rates(optimizer_of(training, 20), 61)
    n = np.arange(61)
    expected = np.where(n < 10, n / 20, 0.25 * (1 + np.cos(np.pi * (n - 10) / 50)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_constant_rate_stays():
    training = TrainingConfig(schedule="constant", learning_rate=0.5)
    assert set(rates(optimizer_of(training, 20), 61)) == {0.5}


def test_the_schedule_serializes():
    schedule = InverseSquareRoot(0.3, 7)
    again = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule),
    )
    assert float(again(20)) == float(schedule(20))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_norm_of_the_gradient_is_told_as_it_was_before_it_was_cut(optimizer):
    made = optimizer_of(TrainingConfig(optimizer=optimizer, clip_norm=0.1), 10)
    weights = [keras.Variable(np.zeros(shape, "float32")) for shape in ((2,), (3, 2))]
    made.build(weights)
    rows = tf.IndexedSlices(
        tf.constant([[2.0, 0.0], [1.0, 0.0]]), tf.constant([1, 1]), [3, 2]
    )  # 3 in one place
    made.apply([tf.constant([0.0, 4.0]), rows])
    assert gradient_norm(made) == pytest.approx(5.0)


def moved(gradients, **settings):
    """Where a weight of 1 is after updates at rate 0.1."""
    training = TrainingConfig(
        schedule="constant", learning_rate=0.1, **{"clip_norm": 100.0, **settings}
    )
    optimizer, weight = optimizer_of(training, 10), keras.Variable([1.0])
    optimizer.build([weight])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor([gradient])])
    return float(weight[0])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1 - 0.1 * 2 - 0.1 * 3),
        ({"momentum": 0.5}, 1 - 0.1 * 2 - 0.1 * (0.5 * 2 + 3)),
        ({"weight_decay": 0.2}, ((1 * 0.98 - 0.1 * 2) * 0.98) - 0.1 * 3),
        ({"clip_norm": 1.0}, 1 - 0.1 - 0.1),
        ({"accumulate": 2}, 1 - 0.1 * 2.5),
    ],
)
def test_gradient_descent_moves_weights_by_its_equation(settings, expected):
    assert moved([2.0, 3.0], optimizer="sgd", **settings) == pytest.approx(expected)


def test_adam_first_moves_by_the_rate_whatever_the_gradient():
    """Kingma and Ba (2015), section 2.1: both moments are corrected for their start."""
    assert moved([0.5]) == pytest.approx(0.9, abs=1e-4)
    assert moved([50.0], weight_decay=0.1) == pytest.approx(1 * 0.99 - 0.1, abs=1e-4)
