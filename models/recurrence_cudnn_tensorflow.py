"""cuDNN's LSTM under TensorFlow: see `recurrence_cudnn`.

Shape suffixes: B batch, T time, E input features, H hidden units, P all weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def allowed(training: bool | None) -> bool:
    """Whether this is a training, for an export runs on a CPU too, and no scope names a CPU."""
    return bool(training) and "CPU" not in device()


def device() -> str:
    """Where an op goes: what a graph asks for or, where it asks for nothing, its caller."""
    asked: str = tf.zeros([]).device
    if not asked:
        with tf.init_scope():
            asked = tf.zeros([]).device
    return asked.upper()


def gains(_inputs_BTE: Any) -> bool:
    """TensorFlow's own loop starts every op of every step by itself."""
    return True


def run(
    inputs_BTE: Any, weights_P: Any, h_BH: Any, c_BH: Any, length_B: Any
) -> tuple[Any, Any, Any]:
    """The outputs [B, T, H], zero beyond a row's length, and the states at its end."""
    outputs_BTH, h_B1H, c_B1H, _, _ = tf.raw_ops.CudnnRNNV3(
        input=inputs_BTE,
        input_h=h_BH[:, tf.newaxis],
        input_c=c_BH[:, tf.newaxis],
        params=weights_P,
        sequence_lengths=length_B,
        rnn_mode="lstm",
        is_training=True,
        time_major=False,
    )
    return outputs_BTH, h_B1H[:, 0], c_B1H[:, 0]


def with_gradients(function: Callable[..., Any], given: list[Any]) -> tuple[list[Any], Any]:
    """What a function gives beside its sum, and the gradients of the sum."""
    with tf.GradientTape() as tape:
        tape.watch(given)
        total, outputs = function(*given)
    return outputs, tape.gradient(total, given)
