"""The affine map that every part of the family shares."""

from __future__ import annotations

from collections.abc import Callable
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

    def in_parts(self, first: Any, features: int) -> tuple[Any, Callable[[Any], Any]]:
        """Maps an input whose first features are known before the others.

        Args:
          first: those, [..., E].
          features: of the whole input, F.

        Returns:
          Their share in the answer [..., units], bias included, and a function from the
          others [N, F - E] to theirs [N, units].
        """
        if not self.built:
            self.build((None, features))
        shape, kernel = ops.shape(first), ops.convert_to_tensor(self.kernel)
        known, others = kernel[: shape[-1]], kernel[shape[-1] :]
        flat = ops.matmul(ops.reshape(first, (-1, shape[-1])), known) + self.bias
        share = ops.reshape(flat, (*shape[:-1], self.units))
        return share, lambda rest: ops.matmul(rest, others)
