"""The affine map that every part of the family shares."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Projection(keras.layers.Dense):
    """`keras.layers.Dense` as one matrix product over all leading axes.

    On an input of three axes Keras's own layer makes TensorFlow run a batched
    product, whose gradient holds a copy of the kernel for each row of the
    batch: on a CPU three times slower for a whole LSTM.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Maps [..., F] to [..., units]."""
        shape = ops.shape(inputs)
        flat = super().call(ops.reshape(inputs, (-1, shape[-1])), training=training)
        return ops.reshape(flat, (*shape[:-1], self.units))
