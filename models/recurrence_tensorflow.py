"""The recurrences of LSTM and GRU on TensorFlow, each with its own gradient.

TensorFlow's gradient of a loop multiplies and adds up the gradient of the recurrent
weights at every step, and goes through each op of the step once more. Here a step back
is a few products: what does not depend on the step after is made for all steps before
the loop, and the gradient of the weights in one product after it.

Inside, a column is a row of the batch. With few rows TensorFlow multiplies a large
matrix by a small one about 1.7 times faster that way round, and gates are cut apart
without a copy.

Shape suffixes: B batch, T time, N = B T, E input features, H hidden units, G gate
features (4H, or 3H for a GRU).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from .devices import has_avx512


def lstm(
    projection: Any,
    inputs_BTE: Any,
    kernel_HG: Any,
    states: Any,
    mask_BT: Any,
    kept_BH: Any = None,
) -> tuple[Any, list[Any]]:
    """Runs `cells.LSTMCell` over time.

    The gradients of W and U are one product, [x; h]^T dG: with 256 units each alone would
    take TensorFlow as long as both.

    Args:
      projection: the `Projection` W x + b, the gates i, f, o, g side by side.
      inputs_BTE: x of every step.
      kernel_HG: U.
      states: h and c before the first step, each [B, H].
      mask_BT: True where a position is real; None where all are. A masked position
        leaves the state as it was.
      kept_BH: what h is multiplied by before U, at each step; None for nothing.

    Returns:
      The outputs [B, T, H], and the last states.
    """
    real_T1B = None if mask_BT is None else tf.transpose(mask_BT)[:, tf.newaxis]
    kept_HB = None if kept_BH is None else tf.transpose(kept_BH)

    if not projection.built:
        projection.build(inputs_BTE.shape)

    @tf.custom_gradient
    def run(
        inputs_BTE: Any, kernel_EG: Any, bias_G: Any, kernel_HG: Any, h_BH: Any, c_BH: Any
    ) -> Any:
        kernel_GH, units = tf.transpose(kernel_HG), kernel_HG.shape[0]
        features, width = kernel_EG.shape
        shape = tf.shape(inputs_BTE)
        rows_NE = tf.reshape(inputs_BTE, [-1, features])
        projected_NG = tf.matmul(rows_NE, kernel_EG) + bias_G
        projected_BTG = tf.reshape(projected_NG, [shape[0], shape[1], width])

        def advance(now: list[Any], states: list[Any]) -> tuple[list[Any], list[Any]]:
            projected_GB, real_1B = now[0], now[1] if len(now) > 1 else None
            h_HB, c_HB = states
            gates_GB = projected_GB + tf.matmul(kernel_GH, _times(h_HB, kept_HB))
            new, made = lstm_step(gates_GB, c_HB, axis=0)
            new = _kept(new, states, real_1B)
            return new, [*new, *made]

        steps = [tf.transpose(projected_BTG, [1, 2, 0])]
        start = [tf.transpose(h_BH), tf.transpose(c_BH)]
        states, made = _over(
            advance, steps + _given(real_T1B), start, [units, units, 3 * units, units, units]
        )
        outputs_THB, c_THB, *activations = made
        outputs_BTH = tf.transpose(outputs_THB, [2, 0, 1])

        def gradient(d_outputs_BTH: Any, d_h_BH: Any, d_c_BH: Any) -> Any:
            factors = lstm_factors(activations, before(c_THB, start[1]), axis=1)
            factors, kept = _masked(factors, real_T1B)
            d_outputs_THB = tf.transpose(d_outputs_BTH, [1, 2, 0])

            def back(now: list[Any], after: list[Any]) -> tuple[list[Any], list[Any]]:
                (d_output_HB, *factors), passed = now[:7], now[7:]
                d_h_HB, d_c_HB = after
                d_h_HB += d_output_HB
                d_gates_GB, d_c_HB, d_c_before_HB = lstm_back(d_h_HB, d_c_HB, factors, axis=0)
                d_before_HB = _times(tf.matmul(kernel_HG, d_gates_GB), kept_HB)
                if passed:
                    d_before_HB += passed[0] * d_h_HB
                    d_c_before_HB += passed[0] * d_c_HB
                return [d_before_HB, d_c_before_HB], [d_gates_GB]

            after, (d_gates_TGB,) = _over(
                back,
                [d_outputs_THB, *factors, *kept],
                [tf.transpose(d_h_BH), tf.transpose(d_c_BH)],
                [4 * units],
                reverse=True,
            )
            d_gates_NG = tf.reshape(tf.transpose(d_gates_TGB, [2, 0, 1]), [-1, width])
            h_before_BTH = tf.concat([h_BH[:, tf.newaxis], outputs_BTH[:, :-1]], axis=1)
            read = tf.concat([inputs_BTE, _times(h_before_BTH, kept_BH, 1)], axis=-1)
            d_kernel_EG, d_kernel_HG = tf.split(outer(read, d_gates_NG), [features, units])
            d_inputs_NE = tf.matmul(d_gates_NG, kernel_EG, transpose_b=True)
            return (
                tf.reshape(d_inputs_NE, shape),
                d_kernel_EG,
                tf.reduce_sum(d_gates_NG, axis=0),
                d_kernel_HG,
                *map(tf.transpose, after),
            )

        return (outputs_BTH, *map(tf.transpose, states)), gradient

    # A variable itself is no argument of a function with its own gradient.
    weights = map(ops.convert_to_tensor, (projection.kernel, projection.bias, kernel_HG))
    outputs_BTH, *last = run(inputs_BTE, *map(tf.convert_to_tensor, weights), *states)
    return outputs_BTH, last


def lstm_step(gates: Any, c: Any, axis: int) -> tuple[list[Any], list[Any]]:
    """One step from its gates, which lie side by side along an axis.

    Returns:
      The new h and c, and what `lstm_factors` asks for: the gates i, f, o in one, g, tanh(c).
    """
    units = c.shape[axis]
    ifo, g = tf.split(gates, [3 * units, units], axis)
    ifo, g = tf.sigmoid(ifo), tf.tanh(g)
    i, f, o = tf.split(ifo, 3, axis)
    c = f * c + i * g
    k = tf.tanh(c)
    return [o * k, c], [ifo, g, k]


def lstm_factors(made: list[Any], c_before: Any, axis: int) -> list[Any]:
    """What of a step's gradient does not depend on the step after, for `lstm_back`."""
    ifo, g, k = made
    i, f, o = tf.split(ifo, 3, axis)
    of_memory = [g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)]
    return [*of_memory, k * o * (1 - o), o * (1 - k * k), f]


def lstm_back(d_h: Any, d_c: Any, factors: list[Any], axis: int) -> tuple[Any, Any, Any]:
    """The gradients of a step's gates, of its c, and of the c before it."""
    to_i, to_f, to_g, to_o, to_c, f = factors
    d_c += d_h * to_c
    d_gates = tf.concat([d_c * to_i, d_c * to_f, d_h * to_o, d_c * to_g], axis)
    return d_gates, d_c, d_c * f


def gru(
    projection: Any,
    inputs_BTE: Any,
    gate_kernel: Any,
    candidate_kernel: Any,
    states: Any,
    mask_BT: Any,
    kept_BH: Any = None,
) -> tuple[Any, list[Any]]:
    """Runs `cells.GRUCell` over time.

    Args:
      projection: the `Projection` W x + b, for r, z and the candidate side by side.
      inputs_BTE: x of every step.
      gate_kernel: U of r and z, [H, 2H].
      candidate_kernel: U of the candidate, [H, H].
      states: h before the first step, [B, H].
      mask_BT: as of `lstm`.
      kept_BH: as of `lstm`.

    Returns:
      The outputs [B, T, H], and the last state.
    """
    real_T1B = None if mask_BT is None else tf.transpose(mask_BT)[:, tf.newaxis]
    kept_HB = None if kept_BH is None else tf.transpose(kept_BH)

    @tf.custom_gradient
    def run(projected_BTG: Any, gate_kernel: Any, candidate_kernel: Any, h_BH: Any) -> Any:
        to_gates, to_candidate = tf.transpose(gate_kernel), tf.transpose(candidate_kernel)
        units = gate_kernel.shape[0]

        def advance(now: list[Any], states: list[Any]) -> tuple[list[Any], list[Any]]:
            projected_GB, real_1B = now[0], now[1] if len(now) > 1 else None
            (h_HB,) = states
            gates, candidate = tf.split(projected_GB, [2 * units, units])
            dropped_HB = _times(h_HB, kept_HB)
            r_HB, z_HB = tf.split(tf.sigmoid(gates + tf.matmul(to_gates, dropped_HB)), 2)
            g_HB = tf.tanh(candidate + tf.matmul(to_candidate, r_HB * dropped_HB))
            new = _kept([z_HB * h_HB + (1 - z_HB) * g_HB], states, real_1B)
            return new, [*new, r_HB, z_HB, g_HB]

        steps = [tf.transpose(projected_BTG, [1, 2, 0])]
        start = [tf.transpose(h_BH)]
        states, made = _over(advance, steps + _given(real_T1B), start, [units] * 4)
        outputs_THB, r_THB, z_THB, g_THB = made
        outputs_BTH = tf.transpose(outputs_THB, [2, 0, 1])

        def gradient(d_outputs_BTH: Any, d_h_BH: Any) -> Any:
            h_before_THB = before(outputs_THB, start[0])
            factors = [
                (1 - z_THB) * (1 - g_THB * g_THB),
                _times(h_before_THB, kept_HB) * r_THB * (1 - r_THB),
                (h_before_THB - g_THB) * z_THB * (1 - z_THB),
            ]
            factors, kept = _masked([*factors, z_THB], real_T1B)

            def back(now: list[Any], after: list[Any]) -> tuple[list[Any], list[Any]]:
                d_output_HB, to_g, to_r, to_z, z_HB, r_HB, *passed = now
                d_h_HB = after[0] + d_output_HB
                d_g_HB = d_h_HB * to_g
                d_reset_HB = tf.matmul(candidate_kernel, d_g_HB)
                d_gates = tf.concat([d_reset_HB * to_r, d_h_HB * to_z], axis=0)
                d_dropped_HB = d_reset_HB * r_HB + tf.matmul(gate_kernel, d_gates)
                d_before_HB = d_h_HB * z_HB + _times(d_dropped_HB, kept_HB)
                if passed:
                    d_before_HB += passed[0] * d_h_HB
                return [d_before_HB], [d_gates, d_g_HB]

            after, (d_gates, d_g) = _over(
                back,
                [tf.transpose(d_outputs_BTH, [1, 2, 0]), *factors, r_THB, *kept],
                [tf.transpose(d_h_BH)],
                [2 * units, units],
                reverse=True,
            )
            d_gates, d_g = tf.transpose(d_gates, [2, 0, 1]), tf.transpose(d_g, [2, 0, 1])
            h_before_BTH = tf.concat([h_BH[:, tf.newaxis], outputs_BTH[:, :-1]], axis=1)
            dropped_BTH = _times(h_before_BTH, kept_BH, 1)
            reset_BTH = tf.transpose(r_THB, [2, 0, 1]) * dropped_BTH
            return (
                tf.concat([d_gates, d_g], axis=-1),
                outer(dropped_BTH, d_gates),
                outer(reset_BTH, d_g),
                tf.transpose(after[0]),
            )

        return (outputs_BTH, tf.transpose(states[0])), gradient

    kernels = map(tf.convert_to_tensor, (gate_kernel, candidate_kernel))
    outputs_BTH, last = run(projection(inputs_BTE), *kernels, *states)
    return outputs_BTH, [last]


def _over(
    advance: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]],
    steps: list[Any],
    states: list[Any],
    widths: list[int],
    reverse: bool = False,
) -> tuple[list[Any], list[Any]]:
    """Runs a step over the leading axis.

    Args:
      advance: (the inputs of a step, states) -> (states, what the step makes).
      steps: the inputs of all steps, [T, X, B] each.
      states: before the first step, [H, B] each.
      widths: the features of each thing that a step makes.
      reverse: begin with the last step.

    Returns:
      The last states, and what all steps made, [T, X, B] each.
    """
    count = tf.shape(steps[0])[0]
    arrays = [
        tf.TensorArray(step.dtype, count, element_shape=step.shape[1:]).unstack(step)
        for step in steps
    ]
    made = [
        tf.TensorArray(states[0].dtype, count, element_shape=[width, states[0].shape[1]])
        for width in widths
    ]

    def body(n: Any, states: list[Any], made: list[Any]) -> Any:
        t = count - 1 - n if reverse else n
        states, new = advance([array.read(t) for array in arrays], states)
        return n + 1, states, [array.write(t, x) for array, x in zip(made, new, strict=True)]

    _, states, made = tf.while_loop(
        lambda n, *_: n < count, body, (tf.constant(0), states, made), maximum_iterations=count
    )
    return states, [array.stack() for array in made]


def _given(mask: Any) -> list[Any]:
    return [] if mask is None else [mask]


def _kept(new: list[Any], old: list[Any], real_1B: Any) -> list[Any]:
    """The new states where a position is real, the old ones elsewhere."""
    if real_1B is None:
        return new
    return [tf.where(real_1B, *pair) for pair in zip(new, old, strict=True)]


def _times(x: Any, kept: Any, axis: int = 0) -> Any:
    """What dropout leaves of a state at each step, time being at that axis if there is one."""
    if kept is None:
        return x
    return x * (kept if len(x.shape) == len(kept.shape) else tf.expand_dims(kept, axis))


def _masked(factors: list[Any], real_T1B: Any) -> tuple[list[Any], list[Any]]:
    """Factors that let no gradient into masked steps, and what of it passes them by."""
    if real_T1B is None:
        return factors, []
    real = tf.cast(real_T1B, factors[0].dtype)
    return [factor * real for factor in factors], [1 - real]


def before(states_THB: Any, first_HB: Any) -> Any:
    """The state before each step."""
    return tf.concat([first_HB[tf.newaxis], states_THB[:-1]], axis=0)


def few_rows_by(kernel: Any) -> Callable[[Any], Any]:
    """The product of a step's rows by a kernel, the way round that the processor likes.

    64 rows by 512 x 2,048: with AVX-512 107 GFLOP/s as it is and 87 turned round; with AVX2
    49, for the kernel's rows lie a power of two apart, and 100.
    """
    if has_avx512():
        return lambda rows: tf.matmul(rows, kernel)
    turned = tf.transpose(kernel)
    return lambda rows: tf.matmul(rows, turned, transpose_b=True)


def outer(one_BTX: Any, other_BTY: Any) -> Any:
    """The sum over all steps and rows of x y^T: [X, Y]."""
    return tf.matmul(
        tf.reshape(one_BTX, [-1, one_BTX.shape[-1]]),
        tf.reshape(other_BTY, [-1, other_BTY.shape[-1]]),
        transpose_a=True,
    )


KERNELS: dict[str, Callable[..., Any]] = {"lstm": lstm, "gru": gru}
