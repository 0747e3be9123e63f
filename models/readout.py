"""From what a decoder knows at a step to a distribution over the next token.

Shape suffixes: B batch, T target time, S source time, H hidden units, M memory
features, E embedding features, R readout features, V target vocabulary, N positions,
X any features.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from .composite import Composite
from .embeddings import TokenEmbedding
from .projection import Projection

ReadoutKind = Literal["concat", "attentional", "maxout", "state"]


class Readout(keras.layers.Layer):
    """P(y_t) = softmax(W r_t + b), where r_t is made of state, context and last token.

    - concat: r = [s; c];
    - attentional: r = tanh(W_c [s; c]), Luong et al. (2015), equation 5;
    - maxout: r_j = max(t_2j-1, t_2j), t = U s + V E y + C c, Bahdanau et al.
      (2015), section A.2.2 (there of s_t-1), and Cho et al. (2014), section A.1.2;
    - state: r = s, Sutskever et al. (2014), Wu et al. (2016).

    Args:
      vocabulary_size: V.
      kind: see above.
      units: R of the kinds that have weights of their own.
      bias: whether there is b; Luong et al. (2015), equation 6, write none.
      tied_to: the embedding whose vectors are W; b is then left out. Not in the
        config.
    """

    def __init__(
        self,
        vocabulary_size: int,
        kind: ReadoutKind,
        units: int,
        bias: bool = True,
        tied_to: TokenEmbedding | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "vocabulary_size": vocabulary_size,
            "kind": kind,
            "units": units,
            "bias": bias,
        }
        self.kind, self.units, self.tied_to = kind, units, tied_to
        same = {"dtype": self.dtype_policy}
        if kind == "attentional":
            self.combination = Projection(
                units, activation="tanh", use_bias=False, name="W_c", **same
            )
        elif kind == "maxout":
            self.combination = Projection(2 * units, name="U_V_C", **same)
        if tied_to is None:
            self.output_projection = Projection(
                vocabulary_size, use_bias=bias, name="output", **same
            )

    def build(self, read_BTR_shape: Any) -> None:
        """Makes the layer that fits r to a tied embedding of another width."""
        self.to_embedding = None
        if self.tied_to is not None and read_BTR_shape[-1] != self.tied_to.output_dim:
            self.to_embedding = Projection(
                self.tied_to.output_dim,
                use_bias=False,
                dtype=self.dtype_policy,
                name="to_embedding",
            )

    def mix(self, hidden_BTH: Any, context_BTM: Any, embedded_BTE: Any) -> Any:
        """Returns r [B, T, R]; a context of None is left out."""
        if self.kind == "state":
            return hidden_BTH
        parts = [hidden_BTH] if context_BTM is None else [hidden_BTH, context_BTM]
        if self.kind == "maxout":
            parts.append(embedded_BTE)
        joined = ops.concatenate(parts, axis=-1)
        if self.kind == "concat":
            return joined
        mixed = self.combination(joined)
        if self.kind == "maxout":
            return ops.max(ops.reshape(mixed, (*ops.shape(mixed)[:2], self.units, 2)), axis=-1)
        return mixed

    def call(self, read_BTR: Any) -> Any:
        """Returns the logits [B, T, V] of what `mix` gave."""
        if self.tied_to is None:
            return self.output_projection(read_BTR)
        if self.to_embedding is not None:
            read_BTR = self.to_embedding(read_BTR)
        return self.tied_to.logits(read_BTR)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


class CopyHead(Composite):
    """A choice at each step between writing a token and copying one from the source.

    P(w) = p_gen P_vocab(w) + (1 - p_gen) sum_{i: x_i = w} a_ti with
    p_gen = sigmoid(w_h c_t + w_s s_t + w_x E y_t-1 + b): See et al. (2017),
    equations 8 and 9. Both sides share one vocabulary, so that a source token is
    a target token.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.gate = Projection(1, dtype="float32", name="gate")

    def call(self, logits_BTV: Any, weights_BTS: Any, known_BTX: Any, source_ids_BS: Any) -> Any:
        """Mixes both distributions.

        Args:
          logits_BTV: of `Readout`.
          weights_BTS: the attention paid.
          known_BTX: context, state and embedded last token, side by side.
          source_ids_BS: what can be copied.

        Returns:
          The logarithm of the mixture [B, T, V]: logits that are normalized.
        """
        written_BTV = ops.softmax(ops.cast(logits_BTV, "float32"), axis=-1)
        copied_BTV = _by_token(
            ops.cast(weights_BTS, "float32"), source_ids_BS, logits_BTV.shape[-1]
        )
        write_BT1 = ops.sigmoid(self.gate(ops.cast(known_BTX, "float32")))
        mixture_BTV = write_BT1 * written_BTV + (1 - write_BT1) * copied_BTV
        return ops.log(ops.maximum(mixture_BTV, 1e-30))


def at_positions(tensors: Any, positions_N: Any) -> Any:
    """Takes of each tensor [B, T, X] what stands at the flat positions b T + t: [N, 1, X].

    None stays None.
    """

    def take(tensor_BTX: Any) -> Any:
        if tensor_BTX is None:
            return None
        rows_X = ops.reshape(tensor_BTX, (-1, 1, ops.shape(tensor_BTX)[-1]))
        return ops.take(rows_X, positions_N, axis=0)

    return keras.tree.map_structure(take, tensors)


def rows_of(tensor_BX: Any, positions_N: Any, steps: Any) -> Any:
    """Takes for each flat position b T + t the row b: [N, X]."""
    return ops.take(tensor_BX, positions_N // steps, axis=0)


def until_last(positions_N: Any, batch: Any, steps: Any) -> Any:
    """Whether a row has a flat position b T + t there or later: [B, T]."""
    length_B = ops.segment_max(positions_N % steps + 1, positions_N // steps, num_segments=batch)
    return ops.arange(steps) < ops.cast(length_B, "int32")[:, None]


def _by_token(weights_BTS: Any, ids_BS: Any, vocabulary: int) -> Any:
    """Sums the weights of the positions that hold the same token: [B, T, V]."""
    batch, steps = ops.shape(weights_BTS)[:2]
    ids_BS = ops.cast(ids_BS, "int32")
    rows_BS = ops.broadcast_to(ops.arange(batch, dtype="int32")[:, None], ops.shape(ids_BS))
    summed_BVT = ops.scatter(
        ops.reshape(ops.stack([rows_BS, ids_BS], axis=-1), (-1, 2)),
        ops.reshape(ops.transpose(weights_BTS, (0, 2, 1)), (-1, steps)),
        (batch, vocabulary, steps),
    )
    return ops.transpose(summed_BVT, (0, 2, 1))
