"""The loss of each token, from its logits.

Shape suffixes: N tokens, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def token_losses(labels: Any, logits: Any, smoothing: float) -> Any:
    """-(1 - e) log P(label) - e/V sum_v log P(v), in nats: Szegedy et al. (2016), section 7.

    Args:
      labels: the token that follows, [...].
      logits: of all tokens, [..., V].
      smoothing: e.

    Returns:
      float32, [...].
    """
    if keras.backend.backend() == "tensorflow" and len(logits.shape) == 2:
        from .cross_entropy_tensorflow import token_losses as tensorflow_token_losses

        return tensorflow_token_losses(labels, logits, smoothing)
    return plain_token_losses(labels, logits, smoothing)


def plain_token_losses(labels: Any, logits: Any, smoothing: float) -> Any:
    """As `token_losses`, for every backend and any shape."""
    log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    labels = ops.cast(labels, "int32")[..., None]
    losses = -ops.take_along_axis(log_probs, labels, axis=-1)[..., 0]
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * ops.mean(log_probs, axis=-1)
    return losses
