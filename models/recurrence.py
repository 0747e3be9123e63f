"""A cell run over time.

Shape suffixes: B batch, T time, E input features, H hidden units, G gate features.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .devices import on_cpu, on_gpu
from .scan import scan


def recurrence(
    cell: Any,
    projection: Any,
    inputs_BTE: Any,
    states: list[Any],
    mask_BT: Any = None,
    kept_BH: Any = None,
    training: bool | None = None,
) -> tuple[Any, list[Any]]:
    """Runs a cell over all steps.

    Args:
      cell: a `cells.Cell`.
      projection: the `Projection` W x + b.
      inputs_BTE: x of every step.
      states: before the first step, each [B, H].
      mask_BT: True where a position is real; None where all are. A masked position
        leaves the state as it was.
      kept_BH: the dropout of the state, the same at all steps; None for none.
      training: whether gradients will be asked for.

    Returns:
      The outputs [B, T, H], and the last states.
    """
    if cell.KERNEL == "lstm" and kept_BH is None and on_gpu():
        from . import recurrence_cudnn

        if recurrence_cudnn.usable(inputs_BTE, training):
            (kernel_HG,) = cell.recurrent_weights
            return recurrence_cudnn.lstm(projection, inputs_BTE, kernel_HG, states, mask_BT)
    if keras.backend.backend() == "tensorflow" and cell.KERNEL:
        from . import recurrence_packed_tensorflow, recurrence_tensorflow

        packs = training and on_cpu()
        kernels = recurrence_packed_tensorflow if packs else recurrence_tensorflow
        kernel = kernels.KERNELS[cell.KERNEL]
        return kernel(projection, inputs_BTE, *cell.recurrent_weights, states, mask_BT, kept_BH)
    return plain_recurrence(cell, projection, inputs_BTE, states, mask_BT, kept_BH)


def plain_recurrence(
    cell: Any,
    projection: Any,
    inputs_BTE: Any,
    states: list[Any],
    mask_BT: Any = None,
    kept_BH: Any = None,
) -> tuple[Any, list[Any]]:
    """As `recurrence`, for every cell and backend."""
    real_TB1 = () if mask_BT is None else ops.transpose(mask_BT)[..., None]

    def advance(states: list[Any], now: Any) -> Any:
        projected_BG, real_B1 = now
        _, new = cell(projected_BG, states, kept_BH)
        if mask_BT is not None:
            new = [ops.where(real_B1, *pair) for pair in zip(new, states, strict=True)]
        return new, new[0]

    projected_TBG = ops.transpose(projection(inputs_BTE), (1, 0, 2))
    states, outputs_TBH = scan(advance, list(states), (projected_TBG, real_TB1))
    return ops.transpose(outputs_TBH, (1, 0, 2)), states
