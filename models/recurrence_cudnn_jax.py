"""cuDNN's LSTM under JAX: see `recurrence_cudnn`.

Shape suffixes: B batch, T time, E input features, H hidden units, P all weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import keras
from jax.experimental import rnn

# Positions of a batch from where a training step was faster by cuDNN (H200, 512 units, in
# float32): XLA runs a short loop as one graph, and JAX waits for the device at each call.
POSITIONS = 12_800


def allowed(_training: bool | None) -> bool:
    """Whether one device has all of each batch: nothing tells XLA how to share this call."""
    return keras.distribution.distribution() is None


def gains(inputs_BTE: Any) -> bool:
    """Whether the batch is large enough for cuDNN, and is not computed in half precision."""
    batch, steps, _ = inputs_BTE.shape
    return inputs_BTE.dtype == "float32" and batch * steps >= POSITIONS


def run(
    inputs_BTE: Any, weights_P: Any, h_BH: Any, c_BH: Any, length_B: Any
) -> tuple[Any, Any, Any]:
    """The outputs [B, T, H], zero beyond a row's length, and the states at its end."""
    exact = jax.config.jax_default_matmul_precision in ("highest", "float32")
    outputs_BTH, h_1BH, c_1BH = rnn.lstm(
        inputs_BTE,
        h_BH[None],
        c_BH[None],
        weights_P,
        length_B,
        input_size=inputs_BTE.shape[-1],
        hidden_size=h_BH.shape[-1],
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
        precision=jax.lax.Precision.HIGHEST if exact else jax.lax.Precision.HIGH,
    )
    return outputs_BTH, h_1BH[0], c_1BH[0]


def with_gradients(function: Callable[..., Any], given: list[Any]) -> tuple[list[Any], Any]:
    """What a function gives beside its sum, and the gradients of the sum."""
    places = tuple(range(len(given)))
    measured = jax.jit(jax.value_and_grad(function, places, has_aux=True))
    (_, outputs), gradients = measured(*given)
    return outputs, gradients
