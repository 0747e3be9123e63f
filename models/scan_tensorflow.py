"""`scan` on TensorFlow, where `keras.ops.scan` wants outputs shaped like the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import tree


def scan(advance: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: Any) -> Any:
    """As `scan.scan`."""
    steps = tf.shape(tree.flatten(inputs)[0])[0]
    arrays = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x)
        for x in tree.flatten(inputs)
    ]

    def at(t: Any) -> Any:
        return tree.pack_sequence_as(inputs, [array.read(t) for array in arrays])

    # The first step, outside of the loop, shows what the outputs are.
    state, first = advance(state, at(0))
    outputs = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape).write(0, x)
        for x in tree.flatten(first)
    ]

    def body(t: Any, flat_state: Any, outputs: Any) -> Any:
        new_state, new = advance(tree.pack_sequence_as(state, flat_state), at(t))
        written = [array.write(t, x) for array, x in zip(outputs, tree.flatten(new), strict=True)]
        return t + 1, tree.flatten(new_state), written

    _, flat_state, outputs = tf.while_loop(
        lambda t, *_: t < steps, body, (tf.constant(1), tree.flatten(state), outputs)
    )
    stacked = tree.pack_sequence_as(first, [array.stack() for array in outputs])
    return tree.pack_sequence_as(state, flat_state), stacked
