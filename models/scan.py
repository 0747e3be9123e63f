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
    # The first step, outside of the loop, builds what is not built yet: a weight
    # that is made while a loop is traced belongs to the trace.
    tree = keras.tree
    state, first = advance(state, tree.map_structure(lambda x: x[0], inputs))
    if tree.flatten(inputs)[0].shape[0] == 1:
        return state, tree.map_structure(lambda x: x[None], first)
    state, others = ops.scan(advance, state, tree.map_structure(lambda x: x[1:], inputs))
    outputs = tree.map_structure(
        lambda one, more: ops.concatenate([one[None], more], axis=0), first, others
    )
    return state, outputs
