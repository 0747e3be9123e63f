"""Adam whose update is one pass over each weight."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .averaging import TrainsWithoutAverages
from .gradient_norm import MeasuresGradient


@keras.saving.register_keras_serializable("seq2seq_tfx")
class FusedAdam(TrainsWithoutAverages, MeasuresGradient, keras.optimizers.Adam):
    """Adam (Kingma and Ba, 2015) as `keras.optimizers.Adam`, the update by one op of TensorFlow.

    Keras's own update is ten ops, each of which reads or writes a whole weight or one of
    its moments. The mathematics is that of dense gradients, of embeddings too: moments go
    on where a batch has no such token, and the gradients of a token that it has twice are
    added before they are squared, or their norm is taken (Keras takes each by itself).
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Updates all weights."""
        dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in grads]
        super().apply(dense, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a weight and its two moments."""
        index = self._get_variable_index(variable)
        moments = [kept[index].value for kept in (self._momentums, self._velocities)]
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=moments[0].handle,
            v=moments[1].handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), step),
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )
