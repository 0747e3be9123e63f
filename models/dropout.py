"""Dropout of sequences: of each element by itself, or of features throughout.

Shape suffixes: B batch, T time, X features, H hidden units.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class SequenceDropout(keras.layers.Dropout):
    """Dropout that knows of time.

    Args:
      rate: share that is dropped while training.
      variational: drop a feature at all steps of a sequence or at none, and recurrent
        states as well: Gal and Ghahramani (2016). Their dropping of whole words is not
        here. Otherwise each element is drawn by itself, and no state is dropped
        (Zaremba et al., 2014).
    """

    def __init__(self, rate: float, variational: bool = False, **kwargs: Any):
        super().__init__(rate, **kwargs)
        self.variational = variational

    def over_time(self, inputs_BTX: Any, training: bool | None) -> Any:
        """Drops of the inputs of all steps."""
        if not self.variational:
            return self(inputs_BTX, training=training)
        return inputs_BTX * self(ops.ones_like(inputs_BTX[:, :1]), training=training)

    def masks(self, steps: Any, batch: Any, width: int, dtype: str) -> Any:
        """What the inputs of each step are multiplied by in training, [T, B, X]."""
        if not self.variational:
            return self(ops.ones((steps, batch, width), dtype), training=True)
        return ops.repeat(self(ops.ones((1, batch, width), dtype), training=True), steps, axis=0)

    def of_state(self, state_BH: Any, training: bool | None) -> Any:
        """What a state is multiplied by at all steps, [B, H]; None for nothing."""
        if not (self.variational and training and self.rate):
            return None
        return self(ops.ones_like(state_BH), training=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "variational": self.variational}
