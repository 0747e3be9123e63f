"""A fit that goes wrong says where, and keeps nothing of it."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components import fit as fit_module
from seq2seq_tfx.components.fused_adam import FusedAdam
from seq2seq_tfx.components.gradient_norm import MeasuredSGD
from seq2seq_tfx.components.training_faults import Diverged, NotFinite
from seq2seq_tfx.models.losses import TokenCrossEntropy

from .fitting import EPOCHS, STEPS, VOCABULARY, make_fit, write_pairs

pytestmark = [pytest.mark.slow, pytest.mark.modern]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"))


POISON = VOCABULARY - 1  # a token that no file has


class Poisoned(TokenCrossEntropy):
    """A loss that is a number, and its gradient none where a label is `POISON`."""

    def call(self, y_true, y_pred):
        ill = tf.reduce_any(y_true == POISON)

        @tf.custom_gradient
        def same(logits):
            return tf.identity(logits), lambda upstream: tf.where(ill, math.nan, upstream)

        return super().call(y_true, same(y_pred))


def poisoned(fit, step):
    """The fit with `POISON` in the batch of that step of every epoch."""
    fit._model.compile(fit._model.optimizer, Poisoned(0.1), jit_compile=False)
    sound = fit._data

    def put(number, batch):
        inputs, labels = batch
        first = tf.one_hot(0, len(labels), tf.cast(POISON, labels.dtype), 0, dtype=labels.dtype)
        return inputs, tf.where((number == step - 1) & (first > 0), first, labels)

    fit._data = lambda epoch: sound(epoch).enumerate().map(put)
    return fit


@pytest.mark.parametrize("step", [1, 3, STEPS])
def test_the_batch_that_ruins_the_weights_is_told_and_they_are_never_kept(files, tmp_path, step):
    fit = poisoned(make_fit(files, tmp_path, seconds=0.0), step)
    with pytest.raises(NotFinite, match=f"gradient is not finite at step {step} of epoch 1"):
        fit.run()
    assert np.isnan(fit._model.get_weights()[0]).any()
    checkpoint = fit._checkpoints.newest()
    assert (checkpoint and checkpoint.state["step"]) == (step - 1 or None)
    assert all(np.isfinite(array).all() for array in (checkpoint.arrays if checkpoint else []))


def test_the_batch_that_is_kept_is_the_poisoned_one(files, tmp_path):
    with pytest.raises(NotFinite) as caught:
        poisoned(make_fit(files, tmp_path), 2).run()
    assert (caught.value.epoch, caught.value.step) == (1, 2)
    _, labels = caught.value.batch
    assert int(labels[0]) == POISON


def test_under_loss_scaling_a_step_without_a_gradient_is_skipped(files, tmp_path):
    scaling = keras.optimizers.LossScaleOptimizer(FusedAdam(0.01))
    fit = poisoned(make_fit(files, tmp_path, optimizer=scaling), 2)
    assert len(fit.run()) == EPOCHS
    assert scaling.inner_optimizer.iterations == EPOCHS * (STEPS - 1)


def test_weights_that_a_sound_gradient_throws_out_of_range_are_never_kept(files, tmp_path):
    class Steep(TokenCrossEntropy):
        def call(self, y_true, y_pred):
            return 1e4 * super().call(y_true, y_pred)

    fit = make_fit(files, tmp_path, seconds=0.0, optimizer=MeasuredSGD(3e38))
    fit._model.compile(fit._model.optimizer, Steep(0.1), jit_compile=False)
    with pytest.raises(NotFinite, match="updated weight is not finite at step 1 of epoch 1"):
        fit.run()
    assert not list(tmp_path.glob("*.npz"))


def test_a_loss_that_is_no_number_is_told_with_its_step_and_its_rate(files, tmp_path):
    fit = make_fit(files, tmp_path, rate=1e38)
    with pytest.raises(NotFinite, match="the loss is not finite") as caught:
        fit.run()
    error = caught.value
    assert (error.epoch - 1) * STEPS + error.step == fit._steps
    assert error.learning_rate > 1e37


@pytest.mark.parametrize("within_an_epoch", [True, False])
def test_a_model_that_has_become_worse_than_guessing_ends_the_training(
    files, tmp_path, monkeypatch, within_an_epoch
):
    if within_an_epoch:
        monkeypatch.setattr(fit_module, "CURVE_STEPS", STEPS - 1)
    else:
        assert STEPS < fit_module.CURVE_STEPS
    fit = make_fit(files, tmp_path, rate=200.0)
    with pytest.raises(Diverged, match=r"the loss has grown to .* guessing has 2.48"):
        fit.run()
    assert fit.step == (STEPS - 1 if within_an_epoch else STEPS)
