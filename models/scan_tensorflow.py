"""`scan` on TensorFlow, where `keras.ops.scan` wants outputs shaped like the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import tree


def scan(advance: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: Any) -> Any:
    """As `scan.scan`."""
    state, outputs = scan_arrays(advance, state, inputs)
    return state, tree.map_structure(lambda array: array.stack(), outputs)


def scan_arrays(
    advance: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: Any, reverse: bool = False
) -> Any:
    """As `scan.scan`, its outputs in arrays that are not stacked.

    Args:
      advance: as of `scan`.
      state: as of `scan`.
      inputs: nested tensors [T, ...], or arrays of an earlier call.
      reverse: begin with the last step.
    """
    arrays = [_array(x) for x in tree.flatten(inputs)]
    steps = arrays[0].size()

    def at(t: Any) -> Any:
        return tree.pack_sequence_as(inputs, [array.read(t) for array in arrays])

    def place(n: Any) -> Any:
        return steps - 1 - n if reverse else n

    # The first step, outside of the loop, shows what the outputs are.
    state, first = advance(state, at(place(0)))
    outputs = [
        tf.TensorArray(x.dtype, steps, element_shape=x.shape, clear_after_read=False).write(
            place(0), x
        )
        for x in tree.flatten(first)
    ]

    def body(n: Any, flat_state: Any, outputs: Any) -> Any:
        t = place(n)
        new_state, new = advance(tree.pack_sequence_as(state, flat_state), at(t))
        written = [array.write(t, x) for array, x in zip(outputs, tree.flatten(new), strict=True)]
        return n + 1, tree.flatten(new_state), written

    _, flat_state, outputs = tf.while_loop(
        lambda n, *_: n < steps, body, (tf.constant(1), tree.flatten(state), outputs)
    )
    return tree.pack_sequence_as(state, flat_state), tree.pack_sequence_as(first, outputs)


def _array(x: Any) -> Any:
    if isinstance(x, tf.TensorArray):
        return x
    return tf.TensorArray(x.dtype, tf.shape(x)[0], element_shape=x.shape[1:]).unstack(x)
