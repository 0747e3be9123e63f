"""Scheduled sampling: which tokens a decoder in training is given."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.scheduled_sampling import ScheduledSampling

from .tiny import SOURCES, TARGETS, config_of, new, randomize

LOGITS = np.random.default_rng(1).normal(size=(*TARGETS.shape, 11)).astype("float32")


def mixed(share, step=10, targets=TARGETS, logits=LOGITS, steps=10):
    layer = ScheduledSampling(share, steps)
    return np.array(layer(ops.array(targets), ops.array(logits), step=step))


def test_before_the_first_update_all_tokens_are_the_references():
    np.testing.assert_array_equal(mixed(1.0, step=0), TARGETS)


def test_a_share_of_one_gives_each_token_that_the_step_before_found_likeliest():
    own = LOGITS[:, :-1].argmax(axis=-1)
    kept = (TARGETS[:, 1:] == features.PAD) | (own == features.PAD)
    expected = np.where(kept, TARGETS[:, 1:], own)
    found = mixed(1.0)
    np.testing.assert_array_equal(found[:, 1:], expected)
    np.testing.assert_array_equal(found[:, 0], TARGETS[:, 0])  # BOS
    assert (found != TARGETS).any()


def test_the_share_rises_in_a_line_and_stays():
    targets = np.full((200, 101), 4)
    logits = np.zeros((200, 101, 6), "float32")
    logits[..., 5] = 1.0
    for step, share in ((25, 0.1), (50, 0.2), (100, 0.4), (900, 0.4)):
        found = mixed(0.4, step, targets, logits, steps=100)
        assert (found[:, 1:] == 5).mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("kind", ["default", "bahdanau2015", "transformer2017", "copy"])
def test_a_model_in_training_reads_its_own_tokens_and_otherwise_the_references(kind):
    model = randomize(new(config_of(kind, dropout=0.0), sampling=ScheduledSampling(1.0, 1)))
    inputs = {features.SOURCE_IDS: ops.array(SOURCES), features.TARGET_IDS: ops.array(TARGETS)}
    forced = np.array(model(inputs))
    model.compile(optimizer=keras.optimizers.SGD())
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(1)
    np.testing.assert_allclose(np.array(model(inputs)), forced, atol=1e-6)
    trained = np.array(model(inputs, training=True))
    own = mixed(1.0, logits=forced)
    read = {**inputs, features.TARGET_IDS: ops.array(own)}
    np.testing.assert_allclose(trained, np.array(model(read)), atol=1e-5)
    assert np.abs(trained - forced).max() > 1e-3
