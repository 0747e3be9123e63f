"""Keras's own files hold the whole model."""

import keras
import numpy as np
import pytest
from keras import ops

from .tiny import QUICK, randomize, slow_but, tiny, twin


@pytest.mark.parametrize("kind", slow_but(QUICK, ["default"]))
def test_saved_weights_and_models_come_back_whole(kind, tmp_path):
    model = tiny(kind)
    other = twin(model)
    other.build_from_config({})
    randomize(other, seed=3)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for back in (other, loaded):
        assert [w.path.partition("/")[2] for w in back.weights] == [
            w.path.partition("/")[2] for w in model.weights
        ]
        for weight, expected in zip(back.weights, model.weights, strict=True):
            np.testing.assert_array_equal(
                ops.convert_to_numpy(weight), ops.convert_to_numpy(expected)
            )
