"""Adam whose update is one pass over each weight."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .averaging import TrainsWithoutAverages
from .gradient_norm import MeasuresGradient, added


@keras.saving.register_keras_serializable("seq2seq_tfx")
class FusedAdam(TrainsWithoutAverages, MeasuresGradient, keras.optimizers.Adam):
    """Adam (Kingma and Ba, 2015) as `keras.optimizers.Adam`, the update by one op of TensorFlow.

    Keras's own update is ten ops, each of which reads or writes a whole weight or one of
    its moments. The mathematics is that of dense gradients, of embeddings too: moments go
    on where a batch has no such token, and the gradients of a token that it has twice are
    added before they are squared, or their norm is taken (Keras takes each by itself).

    Args:
      lazy_embeddings: another mathematics: a row of an embedding that no token of a batch
        has keeps its values and its moments. It is for gradients as they are, without
        `amsgrad`, weight decay and accumulation, which move or gather all rows.
      args, kwargs: Keras's.
    """

    def __init__(self, *args: Any, lazy_embeddings: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.lazy_embeddings = lazy_embeddings

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Updates all weights."""
        ready = added if self.lazy_embeddings else tf.convert_to_tensor
        grads = [None if gradient is None else ready(gradient) for gradient in grads]
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a weight and its two moments."""
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        moments = [kept[index].value for kept in (self._momentums, self._velocities)]
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        numbers = [self.beta_1, self.beta_2, self.epsilon, learning_rate]
        beta_1, beta_2, epsilon, rate = (tf.cast(number, dtype) for number in numbers)
        powers = tf.pow(beta_1, step), tf.pow(beta_2, step)
        if isinstance(gradient, tf.IndexedSlices):
            rows, values = gradient.indices, tf.cast(gradient.values, dtype)
            first = beta_1 * tf.gather(moments[0], rows) + (1 - beta_1) * values
            second = beta_2 * tf.gather(moments[1], rows) + (1 - beta_2) * tf.square(values)
            for kept, moment in zip(moments, (first, second), strict=True):
                kept.scatter_update(tf.IndexedSlices(moment, rows))
            rate *= tf.sqrt(1 - powers[1]) / (1 - powers[0])
            moved = rate * first / (tf.sqrt(second) + epsilon)
            variable.scatter_sub(tf.IndexedSlices(moved, rows))
            return
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=moments[0].handle,
            v=moments[1].handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=tf.cast(gradient, dtype),
        )

    def get_config(self) -> dict[str, Any]:
        """Keras's way to make another."""
        return {**super().get_config(), "lazy_embeddings": self.lazy_embeddings}
