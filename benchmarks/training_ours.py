"""Our training on given batches; run by `benchmarks/training.py`.

`model.fit` as `components/run_fn.py` calls it, with the metric and the clipping of the
pipeline; batches are padded and packed while it trains.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from ruamel.yaml import YAML

from seq2seq_tfx.components.fused_adam import FusedAdam
from seq2seq_tfx.components.training_data import teacher_forcing
from seq2seq_tfx.models import features
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq

TWIN = Path(__file__).with_name("joeynmt_twin.yaml")


def model_config(name: str, hidden: int, input_feeding: bool) -> ModelConfig:
    """Of 'twin' or 'default' in a size."""
    size = {"embedding": hidden, "units": hidden, "attention": hidden, "readout": hidden}
    if name == "default":
        return ModelConfig(size=size, dropout=0.0)
    settings = YAML(typ="safe").load(TWIN.read_text())
    return ModelConfig(**{**settings, "size": size, "input_feeding": input_feeding})


def batches_of(path: str) -> tf.data.Dataset:
    """The batches of a file, padded and packed as the pipeline's."""
    with np.load(path) as arrays:
        count = len(arrays.files) // 2
        pairs = [(arrays[f"source_{i}"], arrays[f"target_{i}"]) for i in range(count)]
    spec = tf.TensorSpec([None, None], tf.int64)
    names = (features.SOURCE_IDS, features.TARGET_IDS)
    rows = tf.data.Dataset.from_generator(
        lambda: (dict(zip(names, pair, strict=True)) for pair in pairs),
        output_signature=dict.fromkeys(names, spec),
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    known = tf.data.experimental.assert_cardinality(count)
    return rows.map(teacher_forcing).prefetch(4).with_options(options).apply(known)


class Clock(keras.callbacks.Callback):
    """CPU seconds of all threads, epoch by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._began = time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.process_time() - self._began)


def main() -> None:
    """Prints what `joeynmt_training.py` prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("batches")
    parser.add_argument("--model", choices=["twin", "default"], default="twin")
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--input-feeding", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--profile", help="a folder for TensorFlow's profile of the last epoch")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.constant(0)
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    keras.utils.set_random_seed(1)
    config = model_config(arguments.model, arguments.hidden, bool(arguments.input_feeding))
    model = build_seq2seq(config, arguments.vocabulary, arguments.vocabulary)
    model.compile(
        FusedAdam(learning_rate=arguments.rate, global_clipnorm=1.0),
        TokenCrossEntropy(),
        metrics=[TokenAccuracy()],
        jit_compile=False,
    )
    data, clock = batches_of(arguments.batches), Clock()
    callbacks = [clock]
    history = model.fit(data, epochs=arguments.epochs, verbose=0, callbacks=callbacks).history
    if arguments.profile:
        tf.profiler.experimental.start(arguments.profile)
        model.fit(data, verbose=0)
        tf.profiler.experimental.stop()
    tokens = sum(int(np.count_nonzero(labels)) for _, labels in data)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - imported
    epochs = [
        {"cpu_seconds": seconds, "target_tokens": tokens, "loss": loss}
        for seconds, loss in zip(clock.seconds, history["loss"], strict=True)
    ]
    print(
        json.dumps(
            {
                "epochs": epochs,
                "parameters": model.count_params(),
                "grown_mib": grown / 1024,
                "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
            }
        )
    )


if __name__ == "__main__":
    main()
