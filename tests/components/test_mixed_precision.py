"""A model stays one of Keras: half precision and loss scaling work with every fast part."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.fused_adam import FusedAdam
from seq2seq_tfx.components.training_data import teacher_forcing
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq

pytestmark = pytest.mark.slow

VOCABULARY = 12


def corpus():
    """Targets that repeat their sources."""
    rng = np.random.default_rng(4)
    sources, targets = np.zeros((32, 6), "int64"), np.zeros((32, 7), "int64")
    for source, target in zip(sources, targets, strict=True):
        words = rng.integers(4, VOCABULARY, rng.integers(1, 6))
        source[: len(words) + 1] = [*words, 2]
        target[: len(words) + 2] = [1, *words, 2]
    return tf.data.Dataset.from_tensors({"source_ids": sources, "target_ids": targets})


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_it_learns_under_every_policy(policy, cell):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(3)
        model = build_seq2seq(
            ModelConfig(cell=cell, size={"embedding": 16, "units": 16}, dropout=0.1),
            VOCABULARY,
            VOCABULARY,
        )
        model.compile(
            FusedAdam(0.01, global_clipnorm=1.0),
            TokenCrossEntropy(0.1),
            metrics=[TokenAccuracy()],
            jit_compile=False,
        )
        scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scales == (policy == "mixed_float16")
        data = corpus().map(teacher_forcing).repeat(40)
        history = model.fit(data, epochs=2, steps_per_epoch=20, verbose=0).history
    finally:
        keras.config.set_dtype_policy(before)
    assert history["loss"][1] < 0.9 * history["loss"][0]
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
