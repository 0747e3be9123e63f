"""`additive_score` on TensorFlow: row by row of the batch, with a gradient of its own.

All of [B, T, S, K] is tens of megabytes, which TensorFlow's gradient goes through ten times
or so. What one sentence has of it stays in a processor's cache, and is no longer than the
sentence.

Shape suffixes: B batch, T target time, S source time, K key features, N = T S.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .devices import on_cpu


def pays(query_BTK: Any) -> bool:
    """Whether a loop over rows is the faster: on a CPU, of more steps than one."""
    return query_BTK.dtype == tf.float32 and query_BTK.shape[1] != 1 and on_cpu()


def additive_score(query_BTK: Any, keys_BSK: Any, v_K: Any, mask: Any) -> Any:
    """As `additive_score.additive_score`."""
    mask = tf.convert_to_tensor(mask)
    batch, steps, units = tf.shape(query_BTK)[0], tf.shape(query_BTK)[1], v_K.shape[0]
    width = tf.shape(keys_BSK)[1]
    sources_B = _lengths(mask if len(mask.shape) == 2 else tf.reduce_any(mask, axis=1))
    targets_B = tf.fill([batch], steps)
    if len(mask.shape) == 3:
        targets_B = _lengths(tf.reduce_any(mask, axis=2))

    def array(*shape: int | None) -> Any:
        return tf.TensorArray(tf.float32, batch, element_shape=shape, infer_shape=False)

    @tf.custom_gradient
    def score(query_BTK: Any, keys_BSK: Any, v_K: Any) -> Any:
        def advance(b: Any, energies: Any, hidden: Any) -> Any:
            query_TK, keys_SK = query_BTK[b, : targets_B[b]], keys_BSK[b, : sources_B[b]]
            hidden_TSK = tf.tanh(query_TK[:, tf.newaxis] + keys_SK)
            energies_N1 = tf.matmul(tf.reshape(hidden_TSK, [-1, units]), v_K[:, tf.newaxis])
            energies_TS = tf.reshape(energies_N1, tf.shape(hidden_TSK)[:2])
            padded_TS = _padded(energies_TS, steps, width)
            return b + 1, energies.write(b, padded_TS), hidden.write(b, hidden_TSK)

        _, energies, hidden = tf.while_loop(
            lambda b, *_: b < batch,
            advance,
            (tf.constant(0), array(None, None), array(None, None, units)),
        )

        def gradient(d_energies_BTS: Any) -> Any:
            def back(b: Any, d_v_1K: Any, d_query: Any, d_keys: Any) -> Any:
                hidden_TSK = hidden.read(b)
                d_energies_TS = d_energies_BTS[b, : targets_B[b], : sources_B[b]]
                d_energies_N1 = tf.reshape(d_energies_TS, [-1, 1])
                d_hidden_TSK = tf.reshape(d_energies_N1 * v_K, tf.shape(hidden_TSK))
                d_sum_TSK = tf.raw_ops.TanhGrad(y=hidden_TSK, dy=d_hidden_TSK)
                hidden_NK = tf.reshape(hidden_TSK, [-1, units])
                d_v_1K += tf.matmul(d_energies_N1, hidden_NK, transpose_a=True)
                d_query_TK = _padded(tf.reduce_sum(d_sum_TSK, axis=1), steps, units)
                d_keys_SK = _padded(tf.reduce_sum(d_sum_TSK, axis=0), width, units)
                return b + 1, d_v_1K, d_query.write(b, d_query_TK), d_keys.write(b, d_keys_SK)

            _, d_v_1K, d_query, d_keys = tf.while_loop(
                lambda b, *_: b < batch,
                back,
                (tf.constant(0), tf.zeros([1, units]), array(None, units), array(None, units)),
            )
            return d_query.stack(), d_keys.stack(), d_v_1K[0]

        return energies.stack(), gradient

    return score(query_BTK, keys_BSK, tf.convert_to_tensor(v_K))


def _lengths(real_BX: Any) -> Any:
    """How far each row goes: one past the last True."""
    return tf.reduce_max(tf.where(real_BX, tf.range(1, tf.shape(real_BX)[1] + 1), 0), axis=1)


def _padded(matrix: Any, rows: Any, columns: Any) -> Any:
    """Zeros after and below."""
    more = tf.stack([rows, columns]) - tf.shape(matrix)
    return tf.pad(matrix, tf.stack([tf.zeros_like(more), more], axis=1))
