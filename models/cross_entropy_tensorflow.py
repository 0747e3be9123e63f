"""`token_losses` on TensorFlow: one pass over the logits each way, compiled by XLA.

Op by op, a loss over a large vocabulary reads and writes all logits a dozen times. XLA
makes one loop of it, but compiles anew for every number of rows: batches pad theirs
(`components.training_data`). Nothing here is in an exported model.

Shape suffixes: N tokens, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def token_losses(labels_N: Any, logits_NV: Any, smoothing: float) -> Any:
    """As `cross_entropy.token_losses`."""
    labels_N = tf.cast(labels_N, tf.int32)

    @tf.custom_gradient
    def losses(logits_NV: Any) -> tuple[Any, Any]:
        losses_N, normalizers_N = _forward(labels_N, logits_NV, smoothing)

        def gradient(upstream_N: Any) -> Any:
            return _backward(labels_N, logits_NV, normalizers_N, upstream_N, smoothing)

        return losses_N, gradient

    return losses(logits_NV)


@tf.function(jit_compile=True, autograph=False)
def _forward(labels_N: Any, logits_NV: Any, smoothing: float) -> tuple[Any, Any]:
    """The losses, and the logarithm of each softmax's denominator."""
    logits_NV = tf.cast(logits_NV, tf.float32)
    normalizers_N = tf.reduce_logsumexp(logits_NV, axis=-1)
    picked_N = tf.reduce_sum(tf.where(_is_label(labels_N, logits_NV), logits_NV, 0.0), axis=-1)
    losses_N = normalizers_N - (1 - smoothing) * picked_N
    if smoothing:
        losses_N = losses_N - smoothing * tf.reduce_mean(logits_NV, axis=-1)
    return losses_N, normalizers_N


@tf.function(jit_compile=True, autograph=False)
def _backward(
    labels_N: Any, logits_NV: Any, normalizers_N: Any, upstream_N: Any, smoothing: float
) -> Any:
    """dL/dz_v = P(v) - (1 - e) [v is the label] - e/V."""
    dtype, logits_NV = logits_NV.dtype, tf.cast(logits_NV, tf.float32)
    probabilities_NV = tf.exp(logits_NV - normalizers_N[:, tf.newaxis])
    wanted_NV = tf.where(_is_label(labels_N, logits_NV), 1.0 - smoothing, 0.0)
    wanted_NV += smoothing / tf.cast(tf.shape(logits_NV)[1], tf.float32)
    return tf.cast((probabilities_NV - wanted_NV) * upstream_N[:, tf.newaxis], dtype)


def _is_label(labels_N: Any, logits_NV: Any) -> Any:
    return tf.range(tf.shape(logits_NV)[1]) == labels_N[:, tf.newaxis]
