"""What a layer of a Transformer is made of: Vaswani et al. (2017), section 3.

Shape suffixes: B batch, S source time, T target time, D model features, M memory features.
"""

from __future__ import annotations

from typing import Any, Literal

import keras

from .attention import Memory, MultiHeadAttention
from .composite import Composite
from .projection import Projection

Norm = Literal["post", "pre"]


class Sublayer(Composite):
    """What stands around attention and feed-forward network: section 3.1 and 5.4.

    Args:
      norm: 'post' is LayerNorm(x + Dropout(f(x))), as published; 'pre' is
        x + Dropout(f(LayerNorm(x))), which trains deep stacks more easily:
        Xiong et al. (2020).
      dropout: share of f(x) that is dropped while training.
    """

    def __init__(self, norm: Norm, dropout: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.norm = norm
        self.layer_norm = layer_norm(self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def enter(self, x_BTD: Any) -> Any:
        """Returns what f is given."""
        return self.layer_norm(x_BTD) if self.norm == "pre" else x_BTD

    def leave(self, x_BTD: Any, change_BTD: Any, training: bool | None) -> Any:
        """Returns the sublayer's output, given x and f's answer."""
        sum_BTD = x_BTD + self.dropout(change_BTD, training=training)
        return sum_BTD if self.norm == "pre" else self.layer_norm(sum_BTD)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "norm": self.norm, "dropout": self.dropout.rate}


class FeedForward(Sublayer):
    """max(0, x W_1 + b_1) W_2 + b_2, position by position: equation 2.

    Args:
      units: D.
      inner: width between the two products.
      norm: of `Sublayer`.
      dropout: of `Sublayer`.
    """

    def __init__(
        self, units: int, inner: int, norm: Norm = "post", dropout: float = 0.0, **kwargs: Any
    ):
        super().__init__(norm, dropout, **kwargs)
        self.units, self.inner = units, inner
        self.first = Projection(inner, activation="relu", dtype=self.dtype_policy, name="W_1")
        self.second = Projection(units, dtype=self.dtype_policy, name="W_2")

    def call(self, x_BTD: Any, training: bool | None = None) -> Any:
        """Maps [B, T, D] to [B, T, D]."""
        return self.leave(x_BTD, self.second(self.first(self.enter(x_BTD))), training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "inner": self.inner}


class AttentionSublayer(Sublayer):
    """Multi-head attention to a memory, or of a sequence to itself.

    Args:
      units: D.
      heads: must divide D.
      norm: of `Sublayer`.
      dropout: of `Sublayer`.
    """

    def __init__(
        self, units: int, heads: int, norm: Norm = "post", dropout: float = 0.0, **kwargs: Any
    ):
        super().__init__(norm, dropout, **kwargs)
        self.units, self.heads = units, heads
        self.attention = MultiHeadAttention(units, heads, dtype=self.dtype_policy, name="attention")

    def project_memory(self, memory_BSM: Any, mask: Any) -> Memory:
        """Prepares what is attended to, once."""
        return self.attention.project_memory(memory_BSM, mask)

    def project_self(self, x_BTD: Any, mask: Any) -> Memory:
        """The same for the sequence that asks."""
        return self.attention.project_memory(self.enter(x_BTD), mask)

    def call(
        self, x_BTD: Any, memory: Memory, training: bool | None = None
    ) -> tuple[Any, Any, Any]:
        """Returns the output [B, T, D], the context [B, T, D], the weights [B, T, S]."""
        context_BTD, weights_BTS = self.attention(self.enter(x_BTD), memory)
        return self.leave(x_BTD, context_BTD, training), context_BTD, weights_BTS

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "heads": self.heads}


def layer_norm(dtype: Any) -> keras.layers.LayerNormalization:
    """Layer normalization (Ba et al., 2016), with the epsilon of the reference code."""
    return keras.layers.LayerNormalization(epsilon=1e-6, dtype=dtype, name="layer_norm")
