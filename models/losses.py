"""The training objective and its companion metric, padding excluded.

Shape suffixes: B batch, T target time, N tokens of a batch, V target vocabulary.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from . import features
from .cross_entropy import token_losses


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
        """Returns each token's share of the batch mean, [B, T] or [N]: they sum to it."""
        real = ops.cast(ops.not_equal(y_true, features.PAD), "float32")
        losses = token_losses(y_true, y_pred, self.label_smoothing)
        return losses * real / ops.maximum(ops.sum(real), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class TokenAccuracy(keras.metrics.Mean):
    """The share of real target tokens that teacher forcing predicts first."""

    def __init__(self, name: str = "token_accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        hit_N, real_N = token_hits(y_true, y_pred)
        super().update_state(hit_N, sample_weight=real_N)


def token_hits(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Whether each label is the likeliest token, and whether it is real: both [N], flat.

    Flat, for Keras would average over T first and weigh batches, not tokens.
    """
    labels_N = ops.cast(ops.reshape(y_true, (-1,)), "int32")
    flat = len(y_pred.shape) == 2  # its maxima are those of the loss, which are there already
    logits_NV = y_pred if flat else ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    # The highest value is found several times sooner than where it is.
    label_N1 = ops.take_along_axis(logits_NV, labels_N[:, None], axis=1)
    return label_N1[:, 0] >= ops.max(logits_NV, axis=-1), ops.not_equal(labels_N, features.PAD)
