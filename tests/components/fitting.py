"""A small fit, and its data."""

import keras
import numpy as np
import tensorflow as tf

from seq2seq_tfx.components.checkpoints import Checkpoints
from seq2seq_tfx.components.curves import Curves
from seq2seq_tfx.components.fit import Fit, Plan
from seq2seq_tfx.components.fused_adam import FusedAdam
from seq2seq_tfx.components.training_data import batches, survey
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.scheduled_sampling import ScheduledSampling
from seq2seq_tfx.models.seq2seq import build_seq2seq

EPOCHS, BATCH, MAX_TOKENS = 4, 8, 20
STEPS = 5  # an epoch
VOCABULARY = 12


def write_pairs(folder):
    """Random pairs; of "other", the targets are words that "train" has not."""
    generator = np.random.default_rng(3)
    for split, count in (("train", STEPS * BATCH), ("validation", 12), ("other", 12)):
        words = (9, VOCABULARY) if split == "other" else (4, 9)
        with tf.io.TFRecordWriter(str(folder / split), "GZIP") as writer:
            for _ in range(count):
                example = tf.train.Example()
                for name, begin in (("source_ids", []), ("target_ids", [1])):
                    ids = [*begin, *generator.integers(*words, generator.integers(1, 6)), 2]
                    example.features.feature[name].int64_list.value.extend(ids)
                writer.write(example.SerializeToString())
    return folder


def schedule(rate):
    return keras.optimizers.schedules.CosineDecay(rate, EPOCHS * STEPS)


def make_fit(
    files,
    folder,
    rate=0.05,
    patience=EPOCHS,
    seconds=1e9,
    validation="validation",
    decoded=None,
    optimizer=None,
    sampling=None,
    **plan,
):
    keras.utils.set_random_seed(1)
    config = ModelConfig(size={"embedding": 4, "units": 6}, dropout=0.3)
    model = build_seq2seq(config, VOCABULARY, VOCABULARY, sampling and ScheduledSampling(*sampling))
    model.compile(
        optimizer or FusedAdam(schedule(rate)),
        TokenCrossEntropy(0.1),
        metrics=[TokenAccuracy()],
        jit_compile=False,
    )
    train = [str(files / "train")]
    return Fit(
        model,
        lambda epoch: batches(train, BATCH, MAX_TOKENS, seed=5, epoch=epoch),
        batches([str(files / validation)], BATCH, MAX_TOKENS).apply(
            tf.data.experimental.assert_cardinality(2)
        ),
        survey(train, BATCH, MAX_TOKENS),
        Plan(EPOCHS, patience, seconds, **plan),
        Checkpoints(folder),
        Curves(str(folder / "curves")),
        decoded,
    )
