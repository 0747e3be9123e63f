"""Weights of an export in fewer bytes, made wide again in its graph: no op that is not stock.

float16 halves what is stored. int8 keeps a scale for each place of a matrix's last axis,
the largest value of which becomes 127 (Jacob et al., 2018, section 2.1, without a zero
point); vectors, such as biases, stay as they are. Only what is stored is narrow: the
network computes in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

Kind = Literal["float16", "int8"]


class CompactWeights(tf.Module):
    """The weights of a network as narrow variables.

    Args:
      variables: of the network, with the values to keep.
      kind: `float16` or `int8`.
    """

    def __init__(self, variables: Sequence[Any], kind: Kind):
        super().__init__(name="compact_weights")
        # Beside TensorFlow's tracking, which would store the wide ones as well.
        self._wide_ones = _Untracked(variables)
        narrowed = [_narrow(np.array(variable), kind) for variable in variables]
        self.values = [tf.Variable(values, trainable=False) for values, _ in narrowed]
        self.scales = [tf.Variable(scale, trainable=False) for _, scale in narrowed]

    def scope(self) -> Any:
        """Within it the network reads what the narrow variables hold."""
        wide = [
            tf.cast(values, tf.float32) * scale
            for values, scale in zip(self.values, self.scales, strict=True)
        ]
        return keras.StatelessScope(
            state_mapping=list(zip(self._wide_ones.variables, wide, strict=True))
        )


class _Untracked:
    def __init__(self, variables: Sequence[Any]):
        self.variables = list(variables)


def _narrow(values: np.ndarray, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """The narrow values, and what they are multiplied by; broadcast against each other."""
    if kind == "float16":
        most = np.finfo(np.float16).max
        return np.clip(values, -most, most).astype(np.float16), np.float32(1)
    if values.ndim < 2:
        return values.astype(np.float32), np.float32(1)
    largest = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.round(values / scale).astype(np.int8), scale
