"""The real positions of a batch, packed: those of a step lie together, the longest row first.

A step takes as many rows as are that long, so nothing is made of padding.

Shape suffixes: B batch, T time, N real positions, R rows of a step, H hidden units,
X any features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

Step = Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]


class Packing(NamedTuple):
    """Where everything lies; a row below N + B is one of [first states; packed]."""

    sizes_T: Any  # R of each step
    starts_T: Any  # where each step begins
    order_B: Any  # the rows, the longest first
    place_B: Any  # of each row in that order
    positions_N: Any  # b T + t
    rows_N: Any  # the place of its row
    before_N: Any  # the row of the position before
    shown_BT: Any  # the row of each position's output


def packing(real_BT: Any) -> Packing:
    """Packs the positions that are real, wherever they are in their rows."""
    batch, steps = tf.shape(real_BT)[0], tf.shape(real_BT)[1]
    count_BT = tf.cumsum(tf.cast(real_BT, tf.int32), axis=1)
    length_B = count_BT[:, -1]
    order_B = tf.argsort(length_B, direction="DESCENDING", stable=True)
    place_B = tf.math.invert_permutation(order_B)
    # One step at least: an array of none has no shape.
    taken_TB = tf.range(tf.maximum(tf.reduce_max(length_B), 1))[:, tf.newaxis] < tf.gather(
        length_B, order_B
    )
    sizes_T = tf.reduce_sum(tf.cast(taken_TB, tf.int32), axis=1)
    starts_T = tf.cumsum(sizes_T, exclusive=True)

    def row(count: Any, place: Any) -> Any:
        """Of the state after so many real positions."""
        packed = batch + tf.gather(starts_T, tf.maximum(count - 1, 0)) + place
        return tf.where(count > 0, packed, place)

    step_N, rows_N = tf.unstack(tf.cast(tf.where(taken_TB), tf.int32), axis=1)
    real_first_BT = tf.argsort(tf.cast(real_BT, tf.int32), direction="DESCENDING", stable=True)
    row_N = tf.gather(order_B, rows_N)
    positions_N = row_N * steps + tf.gather_nd(real_first_BT, tf.stack([row_N, step_N], axis=1))
    # A masked position shows what the last real one before it did.
    shown_BT = row(count_BT, place_B[:, tf.newaxis])
    before_N = row(step_N, rows_N)
    return Packing(sizes_T, starts_T, order_B, place_B, positions_N, rows_N, before_N, shown_BT)


def forward(
    packed: Packing, step: Step, inputs: list[Any], states: list[Any], widths: list[int]
) -> list[Any]:
    """Runs a step over packed inputs.

    Args:
      packed: of `packing`.
      step: (the inputs of a step, the states of as many rows) -> (states, what it makes).
      inputs: [N, X] each.
      states: before the first step, [B, H] each, in the order of the packing.
      widths: the features of each thing that a step makes.

    Returns:
      What all steps made, [N, X] each.
    """

    def body(n: Any, states: list[Any], made: list[Any]) -> Any:
        rows = packed.sizes_T[n]
        states, new = step(_at(packed, n, inputs), [state[:rows] for state in states])
        return n + 1, states, [array.write(n, x) for array, x in zip(made, new, strict=True)]

    _, made = _loop(packed, body, states, widths)
    return made


def backward(
    packed: Packing, step: Step, inputs: list[Any], last: list[Any], widths: list[int]
) -> tuple[list[Any], list[Any]]:
    """Runs a step over packed inputs, the last first.

    Args:
      packed: of `packing`.
      step: as of `forward`.
      inputs: [N, X] each.
      last: what the states of a row are where its last step begins, [B, H] each.
      widths: as of `forward`.

    Returns:
      The states [B, H] after the first step, and what all steps made.
    """
    steps = tf.size(packed.sizes_T)

    def joined(states: list[Any], rows: Any) -> list[Any]:
        """With the rows that end here."""
        return [
            tf.concat([state, more[tf.shape(state)[0] : rows]], axis=0)
            for state, more in zip(states, last, strict=True)
        ]

    def body(i: Any, states: list[Any], made: list[Any]) -> Any:
        n = steps - 1 - i
        states, new = step(_at(packed, n, inputs), joined(states, packed.sizes_T[n]))
        return i + 1, states, [array.write(n, x) for array, x in zip(made, new, strict=True)]

    states, made = _loop(packed, body, [state[:0] for state in last], widths)
    return joined(states, tf.shape(last[0])[0]), made


def _at(packed: Packing, n: Any, inputs: list[Any]) -> list[Any]:
    start = packed.starts_T[n]
    return [x[start : start + packed.sizes_T[n]] for x in inputs]


def _loop(packed: Packing, body: Any, states: list[Any], widths: list[int]) -> Any:
    steps = tf.size(packed.sizes_T)
    arrays = [
        tf.TensorArray(states[0].dtype, steps, element_shape=[None, width], infer_shape=False)
        for width in widths
    ]
    shapes = [tf.TensorShape([None, state.shape[1]]) for state in states]
    _, states, arrays = tf.while_loop(
        lambda n, *_: n < steps,
        body,
        (tf.constant(0), states, arrays),
        (tf.TensorShape([]), shapes, [tf.TensorShape(None)] * len(arrays)),
    )
    made = [
        tf.ensure_shape(array.concat(), [None, width])
        for array, width in zip(arrays, widths, strict=True)
    ]
    return states, made
