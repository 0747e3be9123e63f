"""The score of additive attention, of every query with every key.

Shape suffixes: B batch, T target time, S source time, K key features.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def additive_score(
    query_BTK: Any, keys_BSK: Any, v_K: Any, mask: Any, training: bool | None = None
) -> Any:
    """e_ti = v^T tanh(q_t + k_i), and any number where the mask is False.

    Args:
      query_BTK: what asks.
      keys_BSK: what it is compared with.
      v_K: v.
      mask: of `attention.Memory`, [B, S] or [B, T, S]: True where one may look.
      training: whether its gradient will be asked for.

    Returns:
      The energies [B, T, S].
    """
    if training and keras.backend.backend() == "tensorflow":
        from . import additive_score_tensorflow as kernel

        if kernel.pays(query_BTK):
            return kernel.additive_score(query_BTK, keys_BSK, v_K, mask)
    return plain_additive_score(query_BTK, keys_BSK, v_K)


def plain_additive_score(query_BTK: Any, keys_BSK: Any, v_K: Any) -> Any:
    """As `additive_score`, for every backend."""
    return ops.sum(ops.tanh(query_BTK[:, :, None] + keys_BSK[:, None]) * v_K, axis=-1)
