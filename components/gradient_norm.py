"""The norm of the gradient, measured by the optimizer that gets it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .averaging import TrainsWithoutAverages


class MeasuresGradient(keras.optimizers.Optimizer):
    """Mixed into an optimizer: keeps the global norm of the last gradients, before they are cut.

    It cuts them itself where `global_clipnorm` says so: Keras would measure once more, and
    go through all of them where there is nothing to cut.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # No state of the optimizer: no checkpoint has it.
        self.gradient_norm = tf.Variable(
            0.0, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Updates, and where gradients are gathered over batches measures that of each."""
        if self.gradient_accumulation_steps:
            self.gradient_norm.assign(_norm([added(one) for one in grads if one is not None]))
        super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        grads = [added(one) for one in grads]
        norm = _norm(grads)
        if not self.gradient_accumulation_steps:
            self.gradient_norm.assign(norm)
        if self.global_clipnorm:
            return _cut(grads, norm, self.global_clipnorm)
        return list(super()._clip_gradients(grads))


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


def _norm(grads: list[Any]) -> Any:
    return tf.linalg.global_norm([tf.cast(one, tf.float32) for one in grads])


def _cut(grads: list[Any], norm: Any, limit: float) -> list[Any]:
    """Gradients times limit / norm where the norm is above the limit; no numbers where it is none.

    Pascanu et al. (2013), algorithm 1.
    """
    values = [one.values if isinstance(one, tf.IndexedSlices) else one for one in grads]
    scale = limit / norm + (norm - norm)
    values = tf.cond(
        norm <= limit,
        lambda: [tf.identity(one) for one in values],
        lambda: [one * tf.cast(scale, one.dtype) for one in values],
    )
    return [
        tf.IndexedSlices(new, old.indices, old.dense_shape)
        if isinstance(old, tf.IndexedSlices)
        else new
        for old, new in zip(grads, values, strict=True)
    ]
