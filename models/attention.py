"""Attention: how much of each source position the decoder looks at.

Shape suffixes: B batch, T target time, S source time, Q query features,
M memory features, K key features, N heads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from .additive_score import additive_score
from .composite import Composite
from .projection import Projection


class Memory(NamedTuple):
    """What attention looks at; it does not change from query to query."""

    keys_BSK: Any  # what queries are compared with
    values_BSM: Any  # what the context is a mean of
    mask: Any  # [B, S], or [B, T, S] where queries differ: True where one may look


class Attention(Composite):
    """A distribution over source positions for each query, and the mean under it.

    Subclasses define `project_memory` (once a source) and `score` (once a query).

    Args:
      units: K, the width in which queries and memory are compared.
      coverage: whether the score sees what was attended to before.
    """

    def __init__(self, units: int, coverage: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.coverage = units, coverage

    def project_memory(self, memory_BSM: Any, mask: Any) -> Memory:
        """Prepares a source; `mask` is that of `Memory`."""
        raise NotImplementedError

    def score(
        self,
        query_BTQ: Any,
        memory: Memory,
        coverage_BTS: Any = None,
        training: bool | None = None,
    ) -> Any:
        """Returns the energies [B, T, S] before masking."""
        raise NotImplementedError

    def call(
        self,
        query_BTQ: Any,
        memory: Memory,
        coverage_BTS: Any = None,
        training: bool | None = None,
    ) -> tuple[Any, Any]:
        """Attends to a source.

        Args:
          query_BTQ: decoder states.
          memory: of `project_memory`. Positions that it masks get weight 0.
          coverage_BTS: the sum of the weights of all queries before each.
          training: whether gradients will be asked for.

        Returns:
          The context [B, T, M] and the weights [B, T, S], which sum to 1.
        """
        energies_BTS = self.score(query_BTQ, memory, coverage_BTS, training)
        weights_BTS = _softmax(energies_BTS, memory.mask)
        return ops.matmul(weights_BTS, memory.values_BSM), weights_BTS

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "coverage": self.coverage}


class AdditiveAttention(Attention):
    """e_ti = v^T tanh(W s_t + U h_i): Bahdanau et al. (2015), section A.1.2.

    With coverage, e_ti = v^T tanh(W s_t + U h_i + w_c cov_ti), where cov_ti is
    the sum of the weights a_t'i of t' < t: See et al. (2017), equation 11, after
    Tu et al. (2016).
    """

    def __init__(self, units: int, coverage: bool = False, **kwargs: Any):
        super().__init__(units, coverage, **kwargs)
        self.query_projection = Projection(units, dtype=self.dtype_policy, name="W")
        self.memory_projection = Projection(
            units, use_bias=False, dtype=self.dtype_policy, name="U"
        )

    def build(self, *_: Any) -> None:
        self.v = self.add_weight(shape=(self.units,), name="v")
        if self.coverage:
            self.coverage_kernel = self.add_weight(shape=(self.units,), name="w_c")

    def project_memory(self, memory_BSM: Any, mask: Any) -> Memory:
        return Memory(self.memory_projection(memory_BSM), memory_BSM, mask)

    def score(
        self,
        query_BTQ: Any,
        memory: Memory,
        coverage_BTS: Any = None,
        training: bool | None = None,
    ) -> Any:
        query_BTK, keys_BSK = self.query_projection(query_BTQ), memory.keys_BSK
        v_K = ops.cast(self.v, query_BTK.dtype)
        if not self.coverage:
            return additive_score(query_BTK, keys_BSK, v_K, memory.mask, training)
        summed_BTSK = query_BTK[:, :, None, :] + keys_BSK[:, None, :, :]
        kernel_K = ops.cast(self.coverage_kernel, summed_BTSK.dtype)
        return ops.sum(ops.tanh(summed_BTSK + coverage_BTS[..., None] * kernel_K) * v_K, axis=-1)


class DotProductAttention(Attention):
    """e_ti = s_t^T h_i: Luong et al. (2015), section 3.1, 'dot'.

    Args:
      units: K, the width of queries and of memory.
      scaled: divide by sqrt(K), as Vaswani et al. (2017), equation 1.
    """

    def __init__(self, units: int, scaled: bool = False, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.scaled = scaled

    def project_memory(self, memory_BSM: Any, mask: Any) -> Memory:
        return Memory(memory_BSM, memory_BSM, mask)

    def score(
        self,
        query_BTQ: Any,
        memory: Memory,
        coverage_BTS: Any = None,
        training: bool | None = None,
    ) -> Any:
        keys_BSK = memory.keys_BSK
        if not query_BTQ.shape[-1] == keys_BSK.shape[-1] == self.units:
            raise ValueError(
                f"Expected queries and memory of width units={self.units}. Received: a query of "
                f"shape {tuple(query_BTQ.shape)} and keys of shape {tuple(keys_BSK.shape)}"
            )
        energies_BTS = ops.matmul(query_BTQ, ops.transpose(keys_BSK, (0, 2, 1)))
        return energies_BTS / self.units**0.5 if self.scaled else energies_BTS

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scaled": self.scaled}


class GeneralAttention(DotProductAttention):
    """e_ti = s_t^T W h_i: Luong et al. (2015), section 3.1, 'general' (bilinear).

    The product W h_i is made once a source, so a query costs a dot product.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.memory_projection = Projection(
            units, use_bias=False, dtype=self.dtype_policy, name="W"
        )

    def project_memory(self, memory_BSM: Any, mask: Any) -> Memory:
        return Memory(self.memory_projection(memory_BSM), memory_BSM, mask)


class MultiHeadAttention(Attention):
    """Concat(head_1 .. head_N) W^O: Vaswani et al. (2017), section 3.2.2.

    head_n = softmax(Q W_n^Q (K W_n^K)^T / sqrt(d)) V W_n^V with d = K / N, no biases.

    Args:
      units: K, the width of all heads together, and of the context.
      heads: N; must divide K.
      dropout: share of the weights that is dropped while training.
    """

    def __init__(self, units: int, heads: int = 8, dropout: float = 0.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        if units % heads:
            raise ValueError(f"Expected heads to divide units={units}. Received: heads={heads}")
        self.heads = heads
        (
            self.query_projection,
            self.key_projection,
            self.value_projection,
            self.output_projection,
        ) = (
            Projection(units, use_bias=False, dtype=self.dtype_policy, name=name)
            for name in ("W_Q", "W_K", "W_V", "W_O")
        )
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def project_memory(self, memory_BSM: Any, mask: Any) -> Memory:
        return Memory(self.key_projection(memory_BSM), self.value_projection(memory_BSM), mask)

    def call(
        self,
        query_BTQ: Any,
        memory: Memory,
        coverage_BTS: Any = None,
        training: bool | None = None,
    ) -> tuple[Any, Any]:
        """As `Attention.call`; the weights are the mean of the heads'."""
        query_BNTD = self._heads(self.query_projection(query_BTQ))
        keys_BNSD, values_BNSD = self._heads(memory.keys_BSK), self._heads(memory.values_BSM)
        energies_BNTS = ops.matmul(query_BNTD, ops.transpose(keys_BNSD, (0, 1, 3, 2)))
        mask = memory.mask if len(memory.mask.shape) == 3 else memory.mask[:, None, :]
        weights_BNTS = _softmax(energies_BNTS / (self.units // self.heads) ** 0.5, mask[:, None])
        context_BNTD = ops.matmul(self.dropout(weights_BNTS, training=training), values_BNSD)
        context_BTND = ops.transpose(context_BNTD, (0, 2, 1, 3))
        context_BTK = ops.reshape(context_BTND, (*ops.shape(context_BTND)[:2], self.units))
        return self.output_projection(context_BTK), ops.mean(weights_BNTS, axis=1)

    def _heads(self, tensor_BXK: Any) -> Any:
        """[B, X, K] -> [B, N, X, K / N]."""
        shape = ops.shape(tensor_BXK)
        split = ops.reshape(tensor_BXK, (*shape[:2], self.heads, self.units // self.heads))
        return ops.transpose(split, (0, 2, 1, 3))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads, "dropout": self.dropout.rate}


def _softmax(energies: Any, mask: Any) -> Any:
    """Softmax over the last axis where `mask`, of the same or one axis less, is True."""
    if len(mask.shape) < len(energies.shape):
        mask = mask[:, None, :]
    # In half precision the sum of many exponentials would round.
    energies_32 = ops.where(mask, ops.cast(energies, "float32"), -1e9)
    return ops.cast(ops.softmax(energies_32, axis=-1), energies.dtype)


ATTENTIONS = {
    "additive": (AdditiveAttention, {}),
    "dot": (DotProductAttention, {}),
    "scaled_dot": (DotProductAttention, {"scaled": True}),
    "general": (GeneralAttention, {}),
    "multi_head": (MultiHeadAttention, {}),
}
