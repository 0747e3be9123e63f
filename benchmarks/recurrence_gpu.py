"""Training steps with LSTMs by cuDNN beside the same with loops, on a GPU.

    KERAS_BACKEND=jax .venv/bin/python benchmarks/recurrence_gpu.py

Under TensorFlow or JAX, whichever sees the GPU. First it tells whether cuDNN computes
what the loop does. Then both take compiled steps in turn (forward, gradient, Adam with
the norm cut to 1), on one batch of real lengths from 0.6 of the longest. Without a GPU
both are loops. Writes benchmarks/results/recurrence_gpu.json unless told not to.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from side_by_side import spread, write
from training_ours import model_config

from seq2seq_tfx.models import features, recurrence_cudnn
from seq2seq_tfx.models.devices import on_gpu
from seq2seq_tfx.models.losses import TokenCrossEntropy
from seq2seq_tfx.models.seq2seq import build_seq2seq

ARMS = {"loop": "0", "cudnn": "1"}
# Model, batch, longest, policy.
CASES = [
    ("default", 64, 25, "float32"),
    ("default", 64, 25, "mixed_bfloat16"),
    ("default", 64, 100, "float32"),
    ("default", 256, 25, "float32"),
    ("default", 256, 100, "float32"),
    ("default", 256, 100, "mixed_bfloat16"),
    ("twin", 64, 25, "float32"),
    ("twin", 256, 100, "float32"),
    ("twin_unfed", 256, 25, "float32"),
]


def batch_of(rows: int, longest: int, vocabulary: int) -> tuple[dict[str, Any], Any]:
    """A batch of random tokens as the pipeline gives it: inputs and labels."""
    rng = np.random.default_rng(7)
    lengths = rng.integers(longest * 3 // 5, longest + 1, rows)
    lengths[0] = longest
    source = np.zeros((rows, longest + 1), "int32")
    for row, length in zip(source, lengths, strict=True):
        row[: length + 1] = [*rng.integers(4, vocabulary, length), 2]
    begins = np.ones((rows, 1), "int32")
    labels = source.reshape(-1)
    positions = np.flatnonzero(labels).astype("int32")
    inputs = {
        features.SOURCE_IDS: source,
        features.TARGET_IDS: np.concatenate([begins, source[:, :-1]], axis=1),
        features.TARGET_POSITIONS: positions,
    }
    return inputs, labels[positions]


def stepper(model: Any, inputs: dict[str, Any], labels: Any) -> Callable[[int], float]:
    """What takes so many steps, waits for the last and returns its loss."""
    optimizer = keras.optimizers.Adam(2e-3, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    loss_of = TokenCrossEntropy()
    if keras.backend.backend() == "jax":
        import jax

        others = [variable.value for variable in model.non_trainable_variables]

        def step(weights: Any, slots: Any) -> Any:
            def total(weights: Any) -> Any:
                logits, _ = model.stateless_call(weights, others, inputs, training=True)
                return loss_of(labels, logits)

            loss, gradients = jax.value_and_grad(total)(weights)
            return *optimizer.stateless_apply(slots, gradients, weights), loss

        step = jax.jit(step, donate_argnums=(0, 1))
        state = [
            [jax.numpy.array(variable.value) for variable in variables]
            for variables in (model.trainable_variables, optimizer.variables)
        ]

        def take(count: int) -> float:
            for _ in range(count):
                *state[:], loss = step(*state)
            return float(loss)

        return take

    import tensorflow as tf

    given, said = {name: tf.constant(x) for name, x in inputs.items()}, tf.constant(labels)

    @tf.function(autograph=False)
    def train() -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(said, model(given, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def take(count: int) -> float:
        for _ in range(count):
            loss = train()
        return float(loss)

    return take


def arm(kind: str, case: tuple[str, int, int, str], hidden: int, vocabulary: int) -> Any:
    """The steps of a case by loops or by cuDNN, the first three taken."""
    name, rows, longest, policy = case
    os.environ[recurrence_cudnn.SWITCH] = ARMS[kind]  # asked while the step is traced
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(1)
    config = model_config(name.removesuffix("_unfed"), hidden, name == "twin")
    model = build_seq2seq(config, vocabulary, vocabulary)
    take = stepper(model, *batch_of(rows, longest, vocabulary))
    take(3)
    return take


def main() -> None:
    """Prints a line for each case, and last the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the cases")
    parser.add_argument("--dry", action="store_true", help="write no file")
    arguments = parser.parse_args()
    differing = recurrence_cudnn.fault() if on_gpu() else "there is no GPU"
    print(f"cuDNN: {differing or 'computes what the loop does'}", flush=True)

    rows, ratios = [], {}
    for case in CASES[: arguments.cases]:
        arms = {kind: arm(kind, case, arguments.hidden, arguments.vocabulary) for kind in ARMS}
        milliseconds: dict[str, list[float]] = {kind: [] for kind in ARMS}
        losses = dict.fromkeys(ARMS, 0.0)
        for _ in range(arguments.rounds):
            for kind, take in arms.items():
                began = time.perf_counter()
                losses[kind] = take(arguments.steps)
                seconds = time.perf_counter() - began
                milliseconds[kind].append(1000 * seconds / arguments.steps)
        times = {kind: spread(values) for kind, values in milliseconds.items()}
        rows.append({"case": case, **times, "last_losses": losses})
        name = "_".join(map(str, case))
        ratios[name] = round(times["loop"]["median"] / times["cudnn"]["median"], 3)
        print(f"{name}: loop / cuDNN {ratios[name]}", flush=True)
    record = {
        "devices": keras.distribution.list_devices(),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "settings": vars(arguments),
        "cudnn": differing or "computes what the loop does",
        "ratios": ratios,
        "cases": rows,
    }
    if not arguments.dry:
        write("recurrence_gpu", record)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
