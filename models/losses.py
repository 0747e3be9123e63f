"""The training objective and its companion metric, padding excluded.

Shape suffixes: B batch, T target time, V target vocabulary.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from . import features


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class TokenCrossEntropy(keras.losses.Loss):
    """-log P(y_t), the mean over the real tokens of a batch, in nats.

    Padding (`features.PAD` in the labels) counts for nothing, so neither the
    length of the longest target nor the batch it came in changes the loss of a
    sentence relative to the others.

    Args:
      label_smoothing: probability mass moved from the reference to the uniform
        distribution over the vocabulary: Szegedy et al. (2016), section 7.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "token_cross_entropy"):
        super().__init__(name=name, reduction="sum")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns each token's share of the batch mean, [B, T]: they sum to it."""
        labels_BT, logits_BTV = y_true, ops.cast(y_pred, "float32")
        nll_BT = keras.losses.sparse_categorical_crossentropy(
            labels_BT, logits_BTV, from_logits=True
        )
        if self.label_smoothing:
            uniform_BT = -ops.mean(ops.log_softmax(logits_BTV, axis=-1), axis=-1)
            nll_BT = (1 - self.label_smoothing) * nll_BT + self.label_smoothing * uniform_BT
        real_BT = ops.cast(ops.not_equal(labels_BT, features.PAD), "float32")
        return nll_BT * real_BT / ops.maximum(ops.sum(real_BT), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class TokenAccuracy(keras.metrics.Mean):
    """The share of real target tokens that teacher forcing predicts first."""

    def __init__(self, name: str = "token_accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        hit_BT = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), y_true.dtype), y_true)
        # Flat, for Keras would average over T first and weigh batches, not tokens.
        real = ops.reshape(ops.not_equal(y_true, features.PAD), (-1,))
        super().update_state(ops.reshape(hit_BT, (-1,)), sample_weight=real)
