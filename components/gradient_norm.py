"""The norm of the gradient, measured by the optimizer that gets it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .averaging import TrainsWithoutAverages


class MeasuresGradient(keras.optimizers.Optimizer):
    """Mixed into an optimizer: keeps the global norm of the last gradients, before they are cut."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # No state of the optimizer: no checkpoint has it.
        self.gradient_norm = tf.Variable(
            0.0, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Measures and updates."""
        present = [tf.cast(added(one), tf.float32) for one in grads if one is not None]
        self.gradient_norm.assign(tf.linalg.global_norm(present))
        super().apply(grads, trainable_variables)


@keras.saving.register_keras_serializable("seq2seq_tfx")
class MeasuredSGD(TrainsWithoutAverages, MeasuresGradient, keras.optimizers.SGD):
    """`keras.optimizers.SGD` that tells its gradient's norm."""


def gradient_norm(optimizer: keras.optimizers.Optimizer) -> float | None:
    """Of the last step; None where the optimizer does not measure it."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of loss scaling
    norm = getattr(inner, "gradient_norm", None)
    return None if norm is None else float(norm.numpy())


def added(gradient: Any) -> Any:
    """A gradient in which each row of an embedding stands once, its parts added."""
    if not isinstance(gradient, tf.IndexedSlices):
        return tf.convert_to_tensor(gradient)
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
