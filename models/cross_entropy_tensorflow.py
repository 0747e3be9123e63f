"""`token_losses` on TensorFlow: few passes over the logits each way, most compiled by XLA.

Op by op, a loss over a large vocabulary reads and writes all logits a dozen times. XLA
makes one loop of many ops, but compiles anew for every number of rows: batches pad theirs
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
        # TensorFlow finds a row's maximum sooner than XLA does, and its label's by its place.
        maxima_N = tf.cast(tf.reduce_max(logits_NV, axis=-1), tf.float32)
        normalizers_N = maxima_N + tf.math.log(_sums(logits_NV, maxima_N))
        picked_N = tf.cast(tf.gather(logits_NV, labels_N, batch_dims=1), tf.float32)
        losses_N = normalizers_N - (1 - smoothing) * picked_N
        if smoothing:
            losses_N -= smoothing * tf.reduce_mean(tf.cast(logits_NV, tf.float32), axis=-1)

        def gradient(upstream_N: Any) -> Any:
            return _backward(labels_N, logits_NV, normalizers_N, upstream_N, smoothing)

        return losses_N, gradient

    return losses(logits_NV)


@tf.function(jit_compile=True, autograph=False)
def _sums(logits_NV: Any, maxima_N: Any) -> Any:
    """Each softmax's denominator over exp(maximum).

    As a product with ones: XLA adds up a row one by one, and a product many at a time.
    """
    powers_NV = tf.exp(tf.cast(logits_NV, tf.float32) - maxima_N[:, tf.newaxis])
    return tf.linalg.matvec(powers_NV, tf.ones([tf.shape(logits_NV)[1]]))


@tf.function(jit_compile=True, autograph=False)
def _backward(
    labels_N: Any, logits_NV: Any, normalizers_N: Any, upstream_N: Any, smoothing: float
) -> Any:
    """dL/dz_v = P(v) - (1 - e) [v is the label] - e/V."""
    dtype, logits_NV = logits_NV.dtype, tf.cast(logits_NV, tf.float32)
    probabilities_NV = tf.exp(logits_NV - normalizers_N[:, tf.newaxis])
    is_label_NV = tf.range(tf.shape(logits_NV)[1]) == labels_N[:, tf.newaxis]
    wanted_NV = tf.where(is_label_NV, 1.0 - smoothing, 0.0)
    wanted_NV += smoothing / tf.cast(tf.shape(logits_NV)[1], tf.float32)
    return tf.cast((probabilities_NV - wanted_NV) * upstream_N[:, tf.newaxis], dtype)
