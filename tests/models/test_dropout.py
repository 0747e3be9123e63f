"""Variational dropout: the same features at all steps, and the recurrent state as well."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.cells import CELLS, Recurrent
from seq2seq_tfx.models.dropout import SequenceDropout

from .tiny import SOURCES, TARGETS, config_of, new, randomize, scored

BATCH, TIME, WIDTH, UNITS = 3, 4, 5, 6


@pytest.mark.parametrize("name", CELLS)
def test_dropping_a_unit_of_the_state_is_a_recurrent_weight_without_its_row(name):
    rng = np.random.default_rng(1)
    layer = Recurrent(name, UNITS)
    inputs = ops.array(rng.normal(size=(1, TIME, WIDTH)), "float32")
    layer(inputs)
    randomize(layer)
    kept = np.array([[2.0, 0.0, 2.0, 2.0, 0.0, 0.0]], "float32")
    found = np.array(layer(inputs, kept_BH=ops.array(kept))[0])
    for weight in layer.cell.weights:
        weight.assign(np.array(weight) * kept[0][:, None])
    np.testing.assert_allclose(found, np.array(layer(inputs)[0]), atol=1e-5)


def test_a_feature_is_dropped_at_all_steps_of_a_row_or_at_none():
    dropout = SequenceDropout(0.5, variational=True, seed=1)
    left = np.array(dropout.over_time(ops.ones((50, TIME, WIDTH)), training=True))
    assert set(left.ravel().tolist()) == {0.0, 2.0}
    np.testing.assert_array_equal(left, np.repeat(left[:, :1], TIME, axis=1))
    assert len({row.tobytes() for row in left[:, 0]}) > 10
    masks = np.array(dropout.masks(TIME, 50, WIDTH, "float32"))
    np.testing.assert_array_equal(masks, np.repeat(masks[:1], TIME, axis=0))
    assert dropout.of_state(ops.ones((2, 3)), training=False) is None
    assert SequenceDropout(0.5).of_state(ops.ones((2, 3)), training=True) is None


@pytest.mark.parametrize("kind", ["default", "bahdanau2015", "cho2014"])
def test_it_falls_in_training_alone_and_on_states_too(kind):
    model = randomize(new(config_of(kind, variational_dropout=True)))
    plain = randomize(new(config_of(kind)))
    both = scored(model, SOURCES, TARGETS), scored(plain, SOURCES, TARGETS)
    for one, other in zip(*both, strict=True):
        np.testing.assert_array_equal(one, other)
    drawn, before = [], SequenceDropout.of_state
    with pytest.MonkeyPatch.context() as patch:

        def of_state(self, state_BH, training):
            drawn.append(before(self, state_BH, training))
            return drawn[-1]

        patch.setattr(SequenceDropout, "of_state", of_state)
        trained, _ = scored(model, SOURCES, TARGETS, training=True)
    assert len(drawn) == len(model.encoder.forward + model.encoder.backward + model.decoder.layers)
    assert all(mask is not None for mask in drawn)
    assert np.abs(trained - scored(plain, SOURCES, TARGETS)[0]).max() > 0.01


def test_it_survives_its_configuration():
    layer = SequenceDropout(0.3, variational=True)
    assert SequenceDropout.from_config(layer.get_config()).variational
    assert isinstance(layer, keras.layers.Dropout)
