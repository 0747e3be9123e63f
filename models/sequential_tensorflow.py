"""The steps of a decoder with input feeding on TensorFlow, with a gradient of their own.

LSTM layers, the additive score asked by the current state of the top layer, the
attentional readout. TensorFlow's gradient of a loop adds up the gradient of every weight
at every step; here a step back makes what the step before it needs, and the gradient of a
weight is one product over all steps after the loop.

Shape suffixes: B batch, T target time, S source time, H hidden units, G gate features
(4H), R readout features, A attention features, M memory features, J = H + M, X what a
layer reads beside h, Z = X + H.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from .recurrence_tensorflow import before, few_rows_by, lstm_back, lstm_factors, lstm_step, outer
from .scan_tensorflow import scan_arrays


class FedWeights(NamedTuple):
    """The weights of the steps."""

    kernels_ZG: list[Any]  # of each layer, W above U
    biases_G: list[Any]  # of all layers but the first, whose inputs come projected
    query_kernel_HA: Any
    query_bias_A: Any
    v_A: Any
    combination_JR: Any


def fed_lstm(
    projected_TBG: Any,
    weights: FedWeights,
    states: list[list[Any]],
    keys_BSA: Any,
    values_BSM: Any,
    mask_BS: Any,
    kept_TBZ: list[Any],
) -> tuple[Any, Any]:
    """Runs the decoder over a whole target.

    Args:
      projected_TBG: W x + b of each token in the first layer.
      weights: of the decoder; X of the first layer is R, that of the others H.
      states: h and c of each layer before the first step.
      keys_BSA: what queries are compared with.
      values_BSM: what the context is a mean of.
      mask_BS: True where one may look.
      kept_TBZ: what dropout multiplies X and h of each layer with; empty for nothing.

    Returns:
      The readout [T, B, R], each fed into the step after, and the attention [T, B, S].
    """
    given = (projected_TBG, weights, states, keys_BSA, values_BSM)

    @tf.custom_gradient
    def run(*flat: Any) -> Any:
        projected_TBG, own, start, keys_BSA, values_BSM = tf.nest.pack_sequence_as(given, flat)
        kernels_GZ = [tf.transpose(kernel_ZG) for kernel_ZG in own.kernels_ZG]
        to_gates = [few_rows_by(kernel_ZG) for kernel_ZG in own.kernels_ZG]
        v_A1 = own.v_A[:, tf.newaxis]

        def advance(state: Any, now: Any) -> Any:
            (layers, below_BX), (projected_BG, kept_BZ) = state, now
            new, made = [], []
            for i, (h_BH, c_BH) in enumerate(layers):
                z_BZ = tf.concat([below_BX, h_BH], axis=1)
                if kept_BZ:
                    z_BZ *= kept_BZ[i]
                base_BG = own.biases_G[i - 1] if i else projected_BG
                gates_BG = base_BG + to_gates[i](z_BZ)
                (below_BX, c_BH), gates = lstm_step(gates_BG, c_BH, axis=1)
                new.append([below_BX, c_BH])
                made.append((z_BZ, c_BH, gates))
            query_BA = tf.matmul(below_BX, own.query_kernel_HA) + own.query_bias_A
            tanh_BSA = tf.tanh(query_BA[:, tf.newaxis] + keys_BSA)
            energies = tf.matmul(tf.reshape(tanh_BSA, [-1, v_A1.shape[0]]), v_A1)
            energies_BS = tf.reshape(energies, tf.shape(mask_BS))
            weights_BS = tf.nn.softmax(tf.where(mask_BS, energies_BS, -1e9))
            context_BM = tf.matmul(weights_BS[:, tf.newaxis], values_BSM)[:, 0]
            joined_BJ = tf.concat([below_BX, context_BM], axis=1)
            read_BR = tf.tanh(tf.matmul(joined_BJ, own.combination_JR))
            return (new, read_BR), (made, tanh_BSA, weights_BS, joined_BJ, read_BR)

        rows = tf.shape(projected_TBG)[1]
        nothing_BR = tf.zeros([rows, own.combination_JR.shape[1]], projected_TBG.dtype)
        _, (made, tanh, weights, joined, read) = scan_arrays(
            advance, (start, nothing_BR), (projected_TBG, kept_TBZ)
        )
        weights_TBS, read_TBR = weights.stack(), read.stack()

        def gradient(d_read_TBR: Any, d_weights_TBS: Any) -> Any:
            z_TBZ = [z.stack() for z, _, _ in made]
            factors = [
                lstm_factors([x.stack() for x in gates], before(c.stack(), first[1]), axis=2)
                for (_, c, gates), first in zip(made, start, strict=True)
            ]

            def back(after: Any, now: Any) -> Any:
                d_layers, d_fed_BR, d_keys_BSA, d_v_1A = after
                d_read_BR, to_read_BR, d_weights_BS, weights_BS, tanh_BSA, factors, kept_BZ = now
                d_joined_BJ = (d_read_BR + d_fed_BR) * to_read_BR
                made_by_read = d_joined_BJ
                d_joined_BJ = tf.matmul(d_joined_BJ, own.combination_JR, transpose_b=True)
                units = own.query_kernel_HA.shape[0]
                d_above_BH, d_context_BM = d_joined_BJ[:, :units], d_joined_BJ[:, units:]
                d_weights_BS += tf.matmul(values_BSM, d_context_BM[..., tf.newaxis])[..., 0]
                d_weights_BS -= tf.reduce_sum(d_weights_BS * weights_BS, axis=1, keepdims=True)
                d_energies = tf.reshape(d_weights_BS * weights_BS, [-1, 1])
                d_tanh = tf.reshape(d_energies * own.v_A, tf.shape(tanh_BSA))
                d_sum_BSA = tf.raw_ops.TanhGrad(y=tanh_BSA, dy=d_tanh)
                rows = tf.reshape(tanh_BSA, [-1, v_A1.shape[0]])
                d_v_1A += tf.matmul(d_energies, rows, transpose_a=True)
                d_query_BA = tf.reduce_sum(d_sum_BSA, axis=1)
                d_above_BH += tf.matmul(d_query_BA, own.query_kernel_HA, transpose_b=True)
                d_new: list[Any] = []
                d_gates: list[Any] = []
                for i in reversed(range(len(d_layers))):
                    d_h_BH, d_c_BH = d_layers[i]
                    d_gates_BG, _, d_c_BH = lstm_back(
                        d_h_BH + d_above_BH, d_c_BH, factors[i], axis=1
                    )
                    d_z_BZ = tf.matmul(d_gates_BG, kernels_GZ[i])
                    if kept_BZ:
                        d_z_BZ *= kept_BZ[i]
                    d_above_BH, d_h_BH = d_z_BZ[:, :-units], d_z_BZ[:, -units:]
                    d_new.insert(0, [d_h_BH, d_c_BH])
                    d_gates.insert(0, d_gates_BG)
                after = (d_new, d_above_BH, d_keys_BSA + d_sum_BSA, d_v_1A)
                return after, (d_gates, d_query_BA, d_context_BM, made_by_read)

            nothing = tf.nest.map_structure(tf.zeros_like, (start, nothing_BR, keys_BSA))
            to_read_TBR = 1 - read_TBR * read_TBR
            (d_start, _, d_keys_BSA, d_v_1A), d_made = scan_arrays(
                back,
                (*nothing, tf.zeros_like(own.v_A)[tf.newaxis]),
                (d_read_TBR, to_read_TBR, d_weights_TBS, weights, tanh, factors, kept_TBZ),
                reverse=True,
            )
            d_gates, d_query, d_context, d_combined = tf.nest.map_structure(
                lambda array: array.stack(), d_made
            )
            joined_TBJ = joined.stack()
            h_TBH = joined_TBJ[..., : own.query_kernel_HA.shape[0]]
            d_weights = FedWeights(
                [outer(z, d) for z, d in zip(z_TBZ, d_gates, strict=True)],
                [tf.reduce_sum(d, [0, 1]) for d in d_gates[1:]],
                outer(h_TBH, d_query),
                tf.reduce_sum(d_query, [0, 1]),
                d_v_1A[0],
                outer(joined_TBJ, d_combined),
            )
            d_values_BSM = tf.matmul(
                tf.transpose(weights_TBS, [1, 2, 0]), tf.transpose(d_context, [1, 0, 2])
            )
            return tf.nest.flatten((d_gates[0], d_weights, d_start, d_keys_BSA, d_values_BSM))

        return (read_TBR, weights_TBS), gradient

    # A variable itself is no argument of a function with its own gradient.
    return run(*map(tf.convert_to_tensor, tf.nest.flatten(given)))
