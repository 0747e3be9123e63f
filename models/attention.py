"""Attention: how much of each source position the decoder looks at.

Shape suffixes: B batch, T target time, S source time, Q query features,
M memory features, K key features.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .projection import Projection


class Attention(keras.layers.Layer):
    """A distribution over source positions for each query, and its mean.

    Subclasses define `project_memory` (once a source) and `score` (once a query).

    Args:
      units: K, the width in which queries and memory are compared.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units

    def project_memory(self, memory_BSM: Any) -> Any:
        """Returns the keys [B, S, K] of a source."""
        raise NotImplementedError

    def score(self, query_BTQ: Any, keys_BSK: Any) -> Any:
        """Returns the energies [B, T, S] before masking."""
        raise NotImplementedError

    def call(self, query_BTQ: Any, keys_BSK: Any, memory_BSM: Any, mask_BS: Any) -> tuple[Any, Any]:
        """Attends to a source.

        Args:
          query_BTQ: decoder states.
          keys_BSK: what `project_memory` made of the source.
          memory_BSM: encoder outputs.
          mask_BS: True where a source position is real. Others get weight 0.

        Returns:
          The context [B, T, M] and the weights [B, T, S], which sum to 1.
        """
        energies_BTS = self.score(query_BTQ, keys_BSK)
        lowest = -1e9 if energies_BTS.dtype != "float16" else -6e4
        energies_BTS = ops.where(mask_BS[:, None, :], energies_BTS, lowest)
        weights_BTS = ops.softmax(energies_BTS, axis=-1)
        return ops.matmul(weights_BTS, memory_BSM), weights_BTS

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class AdditiveAttention(Attention):
    """e_ti = v^T tanh(W s_t + U h_i): Bahdanau et al. (2015), section A.1.2."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.query_projection = Projection(units, name="W")
        self.memory_projection = Projection(units, use_bias=False, name="U")

    def build(self, query_BTQ_shape: Any, *_: Any) -> None:
        self.v = self.add_weight(shape=(self.units,), name="v")

    def project_memory(self, memory_BSM: Any) -> Any:
        return self.memory_projection(memory_BSM)

    def score(self, query_BTQ: Any, keys_BSK: Any) -> Any:
        query_BTK = self.query_projection(query_BTQ)
        hidden_BTSK = ops.tanh(query_BTK[:, :, None, :] + keys_BSK[:, None, :, :])
        return ops.sum(hidden_BTSK * ops.cast(self.v, hidden_BTSK.dtype), axis=-1)


class DotProductAttention(Attention):
    """e_ti = s_t^T W h_i: the 'general' score of Luong et al. (2015), equation 8.

    The product W h_i is made once a source, so a query costs a dot product.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.memory_projection = Projection(units, use_bias=False, name="W")

    def project_memory(self, memory_BSM: Any) -> Any:
        return self.memory_projection(memory_BSM)

    def score(self, query_BTQ: Any, keys_BSK: Any) -> Any:
        if query_BTQ.shape[-1] != self.units:
            raise ValueError(
                f"Expected units={self.units} to be the width of the query. "
                f"Received: a query of shape {tuple(query_BTQ.shape)}"
            )
        return ops.matmul(query_BTQ, ops.transpose(keys_BSK, (0, 2, 1)))


ATTENTIONS = {"additive": AdditiveAttention, "dot_product": DotProductAttention}
