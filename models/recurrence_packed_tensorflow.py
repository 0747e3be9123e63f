"""The recurrences of LSTM and GRU in training on a CPU, over real positions alone.

As `recurrence_tensorflow`, whose gradients these are, but packed by
`recurrence_packing_tensorflow`.

Shape suffixes: B batch, T time, N real positions, R rows of a step, E input features,
H hidden units, G gate features (4H, or 3H for a GRU).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from .recurrence_packing_tensorflow import Packing, backward, forward, packing
from .recurrence_tensorflow import few_rows_by, lstm_back, lstm_factors, lstm_step, outer


def lstm(
    projection: Any,
    inputs_BTE: Any,
    kernel_HG: Any,
    states: list[Any],
    mask_BT: Any,
    kept_BH: Any = None,
) -> tuple[Any, list[Any]]:
    """As `recurrence_tensorflow.lstm`."""
    packed, inputs_NE, states, kept_BH = _packed(inputs_BTE, states, mask_BT, kept_BH)
    if not projection.built:
        projection.build(inputs_BTE.shape)

    @tf.custom_gradient
    def run(
        inputs_NE: Any, kernel_EG: Any, bias_G: Any, kernel_HG: Any, h_BH: Any, c_BH: Any
    ) -> Any:
        kernel_GH, units = tf.transpose(kernel_HG), kernel_HG.shape[0]
        recurrent = few_rows_by(kernel_HG)
        projected_NG = tf.matmul(inputs_NE, kernel_EG) + bias_G

        def advance(now: list[Any], states: list[Any]) -> tuple[list[Any], list[Any]]:
            h_RH, c_RH = states
            gates_RG = now[0] + recurrent(_times(h_RH, kept_BH))
            new, made = lstm_step(gates_RG, c_RH, axis=1)
            return new, [*new, *made]

        h_NH, c_NH, *activations = forward(
            packed, advance, [projected_NG], [h_BH, c_BH], [units, units, 3 * units, units, units]
        )

        def gradient(*upstream: Any) -> Any:
            # That of a row that was taken is sparse.
            d_h_NH, *d_last = map(tf.convert_to_tensor, upstream)
            factors = lstm_factors(activations, _before(packed, c_BH, c_NH), axis=1)

            def back(now: list[Any], after: list[Any]) -> tuple[list[Any], list[Any]]:
                d_output_RH, *factors = now
                d_h_RH, d_c_RH = after
                d_gates_RG, _, d_c_RH = lstm_back(d_h_RH + d_output_RH, d_c_RH, factors, axis=1)
                d_h_RH = _times(tf.matmul(d_gates_RG, kernel_GH), kept_BH)
                return [d_h_RH, d_c_RH], [d_gates_RG]

            d_first, (d_gates_NG,) = backward(packed, back, [d_h_NH, *factors], d_last, [4 * units])
            h_before_NH = _before(packed, h_BH, h_NH, kept_BH)
            read = tf.concat([inputs_NE, h_before_NH], axis=1)
            d_kernel_EG, d_kernel_HG = tf.split(
                outer(read, d_gates_NG), [kernel_EG.shape[0], units]
            )
            return (
                tf.matmul(d_gates_NG, kernel_EG, transpose_b=True),
                d_kernel_EG,
                tf.reduce_sum(d_gates_NG, axis=0),
                d_kernel_HG,
                *d_first,
            )

        return (h_NH, _last(packed, h_BH, h_NH), _last(packed, c_BH, c_NH)), gradient

    # A variable itself is no argument of a function with its own gradient.
    weights = map(ops.convert_to_tensor, (projection.kernel, projection.bias, kernel_HG))
    h_NH, *last = run(inputs_NE, *map(tf.convert_to_tensor, weights), *states)
    return _unpacked(packed, states[0], h_NH, last)


def gru(
    projection: Any,
    inputs_BTE: Any,
    gate_kernel: Any,
    candidate_kernel: Any,
    states: list[Any],
    mask_BT: Any,
    kept_BH: Any = None,
) -> tuple[Any, list[Any]]:
    """As `recurrence_tensorflow.gru`."""
    packed, inputs_NE, states, kept_BH = _packed(inputs_BTE, states, mask_BT, kept_BH)

    @tf.custom_gradient
    def run(projected_NG: Any, gate_kernel: Any, candidate_kernel: Any, h_BH: Any) -> Any:
        to_gates, to_candidate = tf.transpose(gate_kernel), tf.transpose(candidate_kernel)
        units = gate_kernel.shape[0]
        recurrent, recurrent_candidate = map(few_rows_by, (gate_kernel, candidate_kernel))

        def advance(now: list[Any], states: list[Any]) -> tuple[list[Any], list[Any]]:
            (h_RH,) = states
            gates, candidate = tf.split(now[0], [2 * units, units], axis=1)
            dropped_RH = _times(h_RH, kept_BH)
            gates += recurrent(dropped_RH)
            r_RH, z_RH = tf.split(tf.sigmoid(gates), 2, axis=1)
            candidate += recurrent_candidate(r_RH * dropped_RH)
            g_RH = tf.tanh(candidate)
            h_RH = z_RH * h_RH + (1 - z_RH) * g_RH
            return [h_RH], [h_RH, r_RH, z_RH, g_RH]

        h_NH, r_NH, z_NH, g_NH = forward(packed, advance, [projected_NG], [h_BH], [units] * 4)

        def gradient(*upstream: Any) -> Any:
            d_h_NH, *d_last = map(tf.convert_to_tensor, upstream)
            h_before_NH = _before(packed, h_BH, h_NH)
            dropped_NH = _before(packed, h_BH, h_NH, kept_BH)
            factors = [
                (1 - z_NH) * (1 - g_NH * g_NH),
                dropped_NH * r_NH * (1 - r_NH),
                (h_before_NH - g_NH) * z_NH * (1 - z_NH),
            ]

            def back(now: list[Any], after: list[Any]) -> tuple[list[Any], list[Any]]:
                d_output_RH, to_g, to_r, to_z, z_RH, r_RH = now
                d_h_RH = after[0] + d_output_RH
                d_g_RH = d_h_RH * to_g
                d_reset_RH = tf.matmul(d_g_RH, to_candidate)
                d_gates = tf.concat([d_reset_RH * to_r, d_h_RH * to_z], axis=1)
                d_dropped_RH = d_reset_RH * r_RH + tf.matmul(d_gates, to_gates)
                return [d_h_RH * z_RH + _times(d_dropped_RH, kept_BH)], [d_gates, d_g_RH]

            d_first, (d_gates, d_g) = backward(
                packed, back, [d_h_NH, *factors, z_NH, r_NH], d_last, [2 * units, units]
            )
            return (
                tf.concat([d_gates, d_g], axis=1),
                outer(dropped_NH, d_gates),
                outer(r_NH * dropped_NH, d_g),
                *d_first,
            )

        return (h_NH, _last(packed, h_BH, h_NH)), gradient

    kernels = map(tf.convert_to_tensor, (gate_kernel, candidate_kernel))
    h_NH, last_BH = run(projection(inputs_NE), *kernels, *states)
    return _unpacked(packed, states[0], h_NH, [last_BH])


def _packed(
    inputs_BTE: Any, states: list[Any], mask_BT: Any, kept_BH: Any
) -> tuple[Packing, Any, list[Any], Any]:
    """The packing, and in its order the inputs [N, E], the states and the dropout of states."""
    if mask_BT is None:
        mask_BT = tf.ones(tf.shape(inputs_BTE)[:2], tf.bool)
    packed = packing(mask_BT)
    inputs_NE = tf.gather(tf.reshape(inputs_BTE, [-1, inputs_BTE.shape[-1]]), packed.positions_N)
    states = [tf.gather(state, packed.order_B) for state in states]
    kept_BH = None if kept_BH is None else tf.gather(kept_BH, packed.order_B)
    return packed, inputs_NE, states, kept_BH


def _unpacked(packed: Packing, first_BH: Any, h_NH: Any, last: list[Any]) -> tuple[Any, list[Any]]:
    outputs_BTH = tf.gather(tf.concat([first_BH, h_NH], axis=0), packed.shown_BT)
    return outputs_BTH, [tf.gather(state, packed.place_B) for state in last]


def _before(packed: Packing, first_BH: Any, states_NH: Any, kept_BH: Any = None) -> Any:
    """The state before each position, or what dropout leaves of it."""
    before_NH = tf.gather(tf.concat([first_BH, states_NH], axis=0), packed.before_N)
    return before_NH if kept_BH is None else before_NH * tf.gather(kept_BH, packed.rows_N)


def _last(packed: Packing, first_BH: Any, states_NH: Any) -> Any:
    """The last state of each row, in the packing's order."""
    rows_B = tf.gather(packed.shown_BT[:, -1], packed.order_B)
    return tf.gather(tf.concat([first_BH, states_NH], axis=0), rows_B)


def _times(h_RH: Any, kept_BH: Any) -> Any:
    """What dropout leaves of the state of a step's rows."""
    return h_RH if kept_BH is None else h_RH * kept_BH[: tf.shape(h_RH)[0]]


KERNELS: dict[str, Callable[..., Any]] = {"lstm": lstm, "gru": gru}
