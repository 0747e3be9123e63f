"""A recurrence over time whose outputs are of any shape, for every Keras backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def scan(advance: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: Any) -> Any:
    """Runs `advance` over the leading axis, of at least one step.

    Args:
      advance: (state, the inputs of one step) -> (new state, outputs of the step).
      state: nested tensors; `advance` keeps their shapes.
      inputs: nested tensors [T, ...].

    Returns:
      The last state, and the outputs of all steps, [T, ...].
    """
    if keras.backend.backend() == "tensorflow":
        from .scan_tensorflow import scan as tensorflow_scan

        return tensorflow_scan(advance, state, inputs)
    return ops.scan(advance, state, inputs)
