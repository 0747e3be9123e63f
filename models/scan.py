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
        return _tensorflow_scan(advance, state, inputs)
    return ops.scan(advance, state, inputs)


def _tensorflow_scan(
    advance: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: Any
) -> Any:
    """As `keras.ops.scan`, which on TensorFlow wants outputs shaped like the state."""
    import tensorflow as tf

    tree = keras.tree
    steps = tf.shape(tree.flatten(inputs)[0])[0]
    # The first step, outside of the loop, shows what the outputs are.
    state, first = advance(state, tree.map_structure(lambda x: x[0], inputs))
    outputs = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape).write(0, x)
        for x in tree.flatten(first)
    ]

    arrays = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x)
        for x in tree.flatten(inputs)
    ]

    def body(t: Any, flat_state: Any, outputs: Any) -> Any:
        now = tree.pack_sequence_as(inputs, [array.read(t) for array in arrays])
        new_state, new = advance(tree.pack_sequence_as(state, flat_state), now)
        written = [array.write(t, x) for array, x in zip(outputs, tree.flatten(new), strict=True)]
        return t + 1, tree.flatten(new_state), written

    _, flat_state, outputs = tf.while_loop(
        lambda t, *_: t < steps, body, (tf.constant(1), tree.flatten(state), outputs)
    )
    stacked = tree.pack_sequence_as(first, [array.stack() for array in outputs])
    return tree.pack_sequence_as(state, flat_state), stacked
