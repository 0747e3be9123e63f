"""What search is asked for: the configuration, and the same for each source.

Shape suffixes: B batch, P prefix length.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from keras import ops
from pydantic import Field, model_validator

from .configuration import Section

IMPOSSIBLE = float(np.finfo(np.float32).min)  # a finite 'never': JSON has no infinity


class SearchConfig(Section):
    """The `search` section: how the exported model looks for its answer."""

    beam_size: Annotated[int, Field(ge=1, le=64)] = 4
    # The widest beam that a request may ask for, and the hypotheses that it can get.
    max_beam_size: Annotated[int, Field(ge=1, le=64)] | None = None  # None: beam_size
    length_penalty: Annotated[float, Field(ge=0, le=5)] = 1.0
    coverage_penalty: Annotated[float, Field(ge=0, le=5)] = 0.0
    # The longest answer: this many tokens, and no more than a multiple of the source's.
    max_length: Annotated[int, Field(ge=1)] = 128
    max_length_ratio: Annotated[float, Field(gt=0)] = 2.0
    min_length: Annotated[int, Field(ge=0)] = 0  # tokens before the answer may end
    # Above 0 the answer is drawn and not searched for.
    temperature: Annotated[float, Field(ge=0, le=100)] = 0.0
    top_k: Annotated[int, Field(ge=0)] = 0  # draw from the k likeliest alone; 0 from all
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0  # or from the likeliest that sum to p
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    replace_unknown: bool = False  # by the source word that the model attends to most

    @model_validator(mode="after")
    def _limits_hold_the_defaults(self) -> SearchConfig:
        if self.max_beam_size is not None and self.max_beam_size < self.beam_size:
            raise ValueError(
                f"expected max_beam_size of at least beam_size ({self.beam_size}), "
                f"received {self.max_beam_size}"
            )
        if self.min_length >= self.max_length:
            raise ValueError(
                f"expected min_length below max_length ({self.max_length}), "
                f"received {self.min_length}"
            )
        return self

    @property
    def most_hypotheses(self) -> int:
        """K: how many hypotheses a source can get."""
        return self.max_beam_size or self.beam_size


class Options(NamedTuple):
    """What each source of a batch asks for; every tensor [B]."""

    limits_B: Any  # the longest hypothesis, EOS included: int32
    shortest_B: Any  # tokens before EOS may come: int32
    beam_size_B: Any  # int32
    hypotheses_B: Any  # how many are wanted: int32; fewer are found sooner
    length_penalty_B: Any  # alpha: float32
    coverage_penalty_B: Any  # beta: float32
    temperature_B: Any  # float32
    top_k_B: Any  # int32; 0 for all
    top_p_B: Any  # float32
    prefix_BP: Any = None  # what the hypothesis starts with: int32; None for nothing
    prefix_length_B: Any = None  # int32


def options_for(config: SearchConfig, source_length_B: Any, hypotheses: int = 1) -> Options:
    """What a configuration asks for every source.

    Args:
      config: the `search` section.
      source_length_B: tokens of each source, EOS included.
      hypotheses: how many of each source are wanted.
    """
    shape = ops.shape(source_length_B)

    def full(value: Any, dtype: str) -> Any:
        return ops.full(shape, value, dtype)

    return Options(
        length_limits(source_length_B, config.max_length, config.max_length_ratio),
        full(config.min_length, "int32"),
        full(config.beam_size, "int32"),
        full(min(hypotheses, config.beam_size), "int32"),
        full(config.length_penalty, "float32"),
        full(config.coverage_penalty, "float32"),
        full(config.temperature, "float32"),
        full(config.top_k, "int32"),
        full(config.top_p, "float32"),
    )


def length_limits(source_length_B: Any, max_length: Any, ratio: float) -> Any:
    """The longest hypothesis of each source, EOS included: int32 [B].

    min(max_length, ratio * |X| + 10), for even one token may mean a few words.

    Args:
      source_length_B: |X|, EOS included.
      max_length: whatever the source; [B] or one for all.
      ratio: tokens of the hypothesis for one of the source.
    """
    by_ratio_B = ops.cast(source_length_B, "float32") * ratio + 10.0
    return ops.cast(ops.minimum(by_ratio_B, ops.cast(max_length, "float32")), "int32")


def length_penalty(length: Any, alpha: Any) -> Any:
    """lp(Y) = ((5 + |Y|) / 6)^alpha: Wu et al. (2016), equation 14.

    Args:
      length: tokens, EOS included.
      alpha: 0 ranks by probability; larger values favour long hypotheses.
    """
    return ops.power((5.0 + ops.cast(length, "float32")) / 6.0, alpha)


def coverage_penalty(coverage_XS: Any, mask_XS: Any, beta: Any) -> Any:
    """cp(X; Y) = beta sum_i log(min(sum_j p_ij, 1)): Wu et al. (2016), equation 14.

    Never above 0. A position that got no attention at all counts as one that
    got 1e-10, so that the penalty stays finite.

    Args:
      coverage_XS: the attention that each source position got from all tokens.
      mask_XS: True where a position is real.
      beta: 0 for no penalty; shaped as the other leading axes, or one for all.
    """
    covered_XS = ops.minimum(ops.maximum(ops.cast(coverage_XS, "float32"), 1e-10), 1.0)
    return beta * ops.sum(ops.where(mask_XS, ops.log(covered_XS), 0.0), axis=-1)
