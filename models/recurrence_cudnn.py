"""The recurrence of an LSTM by cuDNN, on a GPU under TensorFlow or JAX.

cuDNN runs all steps in one call. It knows lengths and no masks: the real positions of a
row are moved to its front, and every position is shown the state after the real ones
until there. Its GRU is another one, r * (U h) where Cho et al. (2014) and ours have
U (r * h), and it drops nothing of a state.

Shape suffixes: B batch, T time, E input features, H hidden units, G gate features (4H),
P all weights.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from absl import logging
from keras import ops

from .recurrence import plain_recurrence

SWITCH = "SEQ2SEQ_CUDNN"
BACKENDS = ("jax", "tensorflow")
TOLERANCE = 0.01  # TF32 rounds to a thousandth, a gate out of place is off by tenths
GIVEN = ("inputs", "W", "b", "U", "first h", "first c")
COMPARED = ("outputs", "last h", "last c", *(f"gradient of {name}" for name in GIVEN))


def usable(inputs_BTE: Any, training: bool | None) -> bool:
    """Whether cuDNN may run here, gains by it, and computes what the plain recurrence does.

    The last is tried once in a process. In the environment `SEQ2SEQ_CUDNN=0` forbids
    cuDNN, and `SEQ2SEQ_CUDNN=1` takes it where nothing is known to be gained, too.
    """
    asked = os.environ.get(SWITCH)
    if keras.backend.backend() not in BACKENDS or asked == "0":
        return False
    backend = _backend()
    if not backend.allowed(training):
        return False
    return (asked == "1" or backend.gains(inputs_BTE)) and not fault()


def lstm(
    projection: Any, inputs_BTE: Any, kernel_HG: Any, states: list[Any], mask_BT: Any
) -> tuple[Any, list[Any]]:
    """As `recurrence.recurrence` of a `cells.LSTMCell`, whose U is `kernel_HG`; in float32."""
    if not projection.built:
        projection.build(inputs_BTE.shape)
    dtype = inputs_BTE.dtype
    weights_P = packed(projection.kernel, kernel_HG, projection.bias)
    inputs_BTE, *states = [ops.cast(x, "float32") for x in (inputs_BTE, *states)]
    batch, steps, _ = ops.shape(inputs_BTE)
    run = _backend().run
    if mask_BT is None:
        length_B = ops.full((batch,), steps, "int32")
        outputs_BTH, *last = run(inputs_BTE, weights_P, *states, length_B)
    else:
        count_BT = ops.cumsum(ops.cast(mask_BT, "int32"), axis=1)
        place_T = ops.arange(steps, dtype="int32")
        order_BT = ops.argsort(ops.where(mask_BT, place_T, steps + place_T), axis=1)
        real_B1 = count_BT[:, -1:] > 0
        length_B = ops.maximum(count_BT[:, -1], 1)  # a row of none takes a step in vain
        made_BTH, *last = run(_at(inputs_BTE, order_BT), weights_P, *states, length_B)
        outputs_BTH = _at(ops.concatenate([states[0][:, None], made_BTH], axis=1), count_BT)
        last = [ops.where(real_B1, *pair) for pair in zip(last, states, strict=True)]
    return ops.cast(outputs_BTH, dtype), [ops.cast(state, dtype) for state in last]


def packed(kernel_EG: Any, kernel_HG: Any, bias_G: Any) -> Any:
    """All weights as cuDNN wants them: W, U, the bias of each; the gates i, f, g, o."""
    parts = []
    for kernel in (kernel_EG, kernel_HG):
        i, f, o, g = ops.split(ops.transpose(ops.convert_to_tensor(kernel)), 4)
        parts += [i, f, g, o]
    bias_G = ops.convert_to_tensor(bias_G)
    i, f, o, g = ops.split(bias_G, 4)
    parts += [i, f, g, o, ops.zeros_like(bias_G)]
    return ops.concatenate([ops.cast(ops.reshape(part, (-1,)), "float32") for part in parts])


def _at(rows_BTX: Any, index_BT: Any) -> Any:
    """Of each row, what lies at some indices."""
    batch, steps, width = ops.shape(rows_BTX)
    flat_BT = index_BT + steps * ops.arange(batch, dtype="int32")[:, None]
    taken = ops.take(ops.reshape(rows_BTX, (-1, width)), ops.reshape(flat_BT, (-1,)), axis=0)
    return ops.reshape(taken, (batch, -1, width))


def _backend() -> Any:
    if keras.backend.backend() == "jax":
        from . import recurrence_cudnn_jax

        return recurrence_cudnn_jax
    from . import recurrence_cudnn_tensorflow

    return recurrence_cudnn_tensorflow


@functools.cache
def fault() -> str:
    """What of a small batch comes out otherwise than in the plain recurrence; empty if nothing.

    It is tried in a thread of its own, for this one may be within a trace.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            differing = thread.submit(_differing).result()
        except Exception as error:  # whatever a driver or a library may raise
            differing = f"it failed with {type(error).__name__}: {error}"
    if differing:
        logging.warning(
            "LSTMs run as loops and not by cuDNN: on a small batch %s. "
            "%s=0 in the environment keeps cuDNN from being tried",
            differing,
            SWITCH,
        )
    return differing


def _differing() -> str:
    """What cuDNN makes of a small batch and the plain recurrence does not; empty if nothing."""
    from .cells import LSTMCell

    rng, units = np.random.default_rng(1), 8
    shapes = (5, 7, 3), (3, 4 * units), (4 * units,), (units, 4 * units), (5, units), (5, units)
    given = [ops.convert_to_tensor(rng.normal(0, 0.5, shape).astype("float32")) for shape in shapes]
    mask_BT = ops.convert_to_tensor(np.arange(7) < np.array([7, 1, 4, 6, 2])[:, None])

    def by_cudnn(x: Any, w: Any, b: Any, u: Any, *states: Any) -> Any:
        projection = SimpleNamespace(kernel=w, bias=b, built=True)
        return lstm(projection, x, u, list(states), mask_BT)

    def plain(x: Any, w: Any, b: Any, u: Any, *states: Any) -> Any:
        # Not layers, whose first weights would draw from the seed of the training.
        weights: Any = SimpleNamespace(recurrent_kernel=u, GATES=LSTMCell.GATES)
        cell = functools.partial(LSTMCell.call, weights)
        return plain_recurrence(cell, lambda x: ops.matmul(x, w) + b, x, list(states), mask_BT)

    found = []
    for recurrence in (by_cudnn, plain):

        def total(*given: Any, recurrence: Any = recurrence) -> tuple[Any, list[Any]]:
            outputs = keras.tree.flatten(recurrence(*given))
            return sum(ops.sum(ops.sin(x)) for x in outputs), outputs

        outputs, gradients = _backend().with_gradients(total, given)
        found.append([ops.convert_to_numpy(x) for x in (*outputs, *gradients)])
    differing = []
    for name, one, other in zip(COMPARED, *found, strict=True):
        apart = float(np.max(np.abs(one - other)))
        if not apart <= TOLERANCE:
            differing.append(f"{name} by {apart:.2g}")
    return f"it differs in {', '.join(differing)} ({TOLERANCE} is allowed)" if differing else ""
