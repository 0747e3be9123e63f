"""The open road to other hardware: train under JAX, export under TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq

pytestmark = [
    pytest.mark.slow,
    pytest.mark.modern,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="JAX is in the modern lane alone"
    ),
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="starts JAX by itself"),
]

SIZE = {"embedding": 8, "units": 8, "heads": 2, "feed_forward": 16}
SIZE |= {"encoder_layers": 1, "decoder_layers": 1, "attention": 8, "readout": 8}
SOURCES = np.array([[4, 5, 6, 2], [7, 4, 2, 0]])
TARGETS = np.array([[1, 6, 5, 4], [1, 4, 7, 0]])

TRAIN = """
import sys
import keras
import numpy as np
from seq2seq_tfx.models.losses import TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq
assert keras.backend.backend() == "jax"
preset, size, folder = sys.argv[1], eval(sys.argv[2]), sys.argv[3]
model = build_seq2seq(ModelConfig(preset=preset, size=size, dropout=0.1), 9, 9)
inputs = {f"{side}_ids": np.load(f"{folder}/{side}.npy") for side in ("source", "target")}
labels = np.concatenate([inputs["target_ids"][:, 1:], [[2], [0]]], axis=1)
model.compile(keras.optimizers.Adam(0.01), TokenCrossEntropy())
loss = model.fit(inputs, labels, epochs=30, verbose=0).history["loss"]
assert loss[-1] < 0.7 * loss[0], loss
model.save_weights(f"{folder}/trained.weights.h5")
np.save(f"{folder}/logits.npy", keras.ops.convert_to_numpy(model(inputs, training=False)))
"""


@pytest.mark.parametrize("preset", ["default", "bahdanau2015", "transformer2017"])
def test_weights_trained_under_jax_compute_the_same_under_tensorflow(preset, tmp_path):
    np.save(tmp_path / "source.npy", SOURCES)
    np.save(tmp_path / "target.npy", TARGETS)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, preset, repr(SIZE), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    model = build_seq2seq(ModelConfig(preset=preset, size=SIZE, dropout=0.1), 9, 9)
    model.load_weights(tmp_path / "trained.weights.h5")
    inputs = {features.SOURCE_IDS: SOURCES, features.TARGET_IDS: TARGETS}
    here = keras.ops.convert_to_numpy(model(inputs, training=False))
    np.testing.assert_allclose(here, np.load(tmp_path / "logits.npy"), atol=1e-5)
