"""The Transformer: Vaswani et al. (2017), under the interface of the recurrent parts.

Shape suffixes: B batch, S source time, T target time, L maximum length, D model
features, K all heads' features (= D), V target vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from . import features
from .attention import Memory
from .composite import Composite
from .embeddings import TokenEmbedding, with_positions
from .encoders import Encoded
from .readout import CopyHead, Readout, at_positions, rows_of
from .sublayers import AttentionSublayer, FeedForward, Norm, layer_norm


class TransformerEncoder(Composite):
    """A stack of self-attention and feed-forward layers: section 3.1, figure 1, left.

    Args:
      vocabulary_size: how many source ids there are.
      units: D.
      layers: how many layers stand on each other.
      heads: attention heads; must divide D.
      feed_forward: inner width of the feed-forward networks.
      norm: 'post' or 'pre', of `Sublayer`.
      dropout: of each sublayer, and of the embeddings with their positions.
      embedding: shared with another layer; None makes one. Not in the config.
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int,
        layers: int = 6,
        heads: int = 8,
        feed_forward: int = 2048,
        norm: Norm = "post",
        dropout: float = 0.0,
        embedding: TokenEmbedding | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "vocabulary_size": vocabulary_size,
            "units": units,
            "layers": layers,
            "heads": heads,
            "feed_forward": feed_forward,
            "norm": norm,
            "dropout": dropout,
        }
        same = {"dtype": self.dtype_policy}
        self.embedding = embedding or TokenEmbedding(
            vocabulary_size, units, scaled=True, name="embedding", **same
        )
        self.attentions = [
            AttentionSublayer(units, heads, norm, dropout, name=f"attention_{i}", **same)
            for i in range(layers)
        ]
        self.networks = [
            FeedForward(units, feed_forward, norm, dropout, name=f"feed_forward_{i}", **same)
            for i in range(layers)
        ]
        self.last_norm = layer_norm(self.dtype_policy) if norm == "pre" else None
        self.dropout = keras.layers.Dropout(dropout, **same)

    def call(self, source_ids_BS: Any, training: bool | None = None) -> Encoded:
        """Encodes token ids padded on the right with `features.PAD`.

        The summary is the mean of the memory over real positions.
        """
        mask_BS = ops.not_equal(source_ids_BS, features.PAD)
        x_BSD = self.dropout(
            with_positions(self.embedding, source_ids_BS, self.compute_dtype), training=training
        )
        for attention, network in zip(self.attentions, self.networks, strict=True):
            x_BSD, _, _ = attention(
                x_BSD, attention.project_self(x_BSD, mask_BS), training=training
            )
            x_BSD = network(x_BSD, training=training)
        if self.last_norm:
            x_BSD = self.last_norm(x_BSD)
        real_BS1 = ops.cast(mask_BS, x_BSD.dtype)[..., None]
        summary_BD = ops.sum(x_BSD * real_BS1, axis=1) / ops.maximum(ops.sum(real_BS1, axis=1), 1)
        return Encoded(source_ids_BS, x_BSD, mask_BS, summary_BD, [])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


class TransformerSource(NamedTuple):
    """The source as every decoding step sees it."""

    attended: list[Memory]  # of each layer
    ids_BS: Any


class TransformerState(NamedTuple):
    """What one decoding step hands to the next."""

    position_B: Any  # how many tokens came before
    caches: list[list[Any]]  # of each layer: keys and values [B, L, K] of those tokens


class TransformerDecoder(Composite):
    """A stack of masked self-attention, attention and feed-forward: figure 1, right.

    `step` computes one position and keeps the keys and values of the earlier
    ones, which `call` computes for the whole target at once.

    Args:
      vocabulary_size: V.
      units: D.
      layers: how many layers stand on each other.
      heads: attention heads; must divide D.
      feed_forward: inner width of the feed-forward networks.
      norm: 'post' or 'pre', of `Sublayer`.
      copy_head: mix in `readout.CopyHead`, with the last layer's attention.
      output_bias: the output layer has a bias, where it has weights of its own.
      tied_output: the embedding is the output layer as well.
      dropout: of each sublayer, and of the embeddings with their positions.
      embedding: shared with another layer; None makes one. Not in the config.
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int,
        layers: int = 6,
        heads: int = 8,
        feed_forward: int = 2048,
        norm: Norm = "post",
        copy_head: bool = False,
        output_bias: bool = True,
        tied_output: bool = True,
        dropout: float = 0.0,
        embedding: TokenEmbedding | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "vocabulary_size": vocabulary_size,
            "units": units,
            "layers": layers,
            "heads": heads,
            "feed_forward": feed_forward,
            "norm": norm,
            "copy_head": copy_head,
            "output_bias": output_bias,
            "tied_output": tied_output,
            "dropout": dropout,
        }
        same = {"dtype": self.dtype_policy}
        self.units = units
        self.embedding = embedding or TokenEmbedding(
            vocabulary_size, units, scaled=True, name="embedding", **same
        )

        def attentions(name: str) -> list[AttentionSublayer]:
            return [
                AttentionSublayer(units, heads, norm, dropout, name=f"{name}_{i}", **same)
                for i in range(layers)
            ]

        self.self_attentions = attentions("self_attention")
        self.attentions = attentions("attention")
        self.networks = [
            FeedForward(units, feed_forward, norm, dropout, name=f"feed_forward_{i}", **same)
            for i in range(layers)
        ]
        self.last_norm = layer_norm(self.dtype_policy) if norm == "pre" else None
        self.readout = Readout(
            vocabulary_size,
            "state",
            units,
            output_bias,
            tied_to=self.embedding if tied_output else None,
            name="readout",
            **same,
        )
        self.copy_head = CopyHead(dtype="float32", name="copy_head") if copy_head else None
        self.dropout = keras.layers.Dropout(dropout, **same)

    def begin(
        self, encoded: Encoded, max_length: int
    ) -> tuple[TransformerState, TransformerSource]:
        """The state before the first token, and the source as `step` wants it.

        Args:
          encoded: of an encoder.
          max_length: L, how many steps there may be.
        """
        batch = ops.shape(encoded.ids_BS)[0]
        empty_BLK = ops.zeros((batch, max_length, self.units), self.compute_dtype)
        caches = [[empty_BLK, empty_BLK] for _ in self.self_attentions]
        return TransformerState(ops.zeros((batch,), "int32"), caches), self._source(encoded)

    def call(
        self,
        input_ids_BT: Any,
        encoded: Encoded,
        positions_N: Any = None,
        training: bool | None = None,
    ) -> tuple[Any, Any]:
        """Scores a whole target by teacher forcing.

        Args:
          input_ids_BT: the target, BOS first, without its last token.
          encoded: the source.
          positions_N: the flat positions b T + t whose logits are wanted; all if None.
          training: whether dropout applies.

        Returns:
          Logits [B, T, V] for the token after each input, or [N, V] for those at
          the positions, and the attention [B, T, S] of the last layer, the mean of its heads.
        """
        source = self._source(encoded)
        positions_T = ops.arange(ops.shape(input_ids_BT)[1])
        causal_1TT = (positions_T[None, :] <= positions_T[:, None])[None]
        embedded_BTD = with_positions(self.embedding, input_ids_BT, self.compute_dtype)
        x_BTD = self.dropout(embedded_BTD, training=training)
        context_BTD, weights_BTS = None, None
        for i, attention in enumerate(self.self_attentions):
            x_BTD, _, _ = attention(
                x_BTD, attention.project_self(x_BTD, causal_1TT), training=training
            )
            x_BTD, context_BTD, weights_BTS = self.attentions[i](
                x_BTD, source.attended[i], training=training
            )
            x_BTD = self.networks[i](x_BTD, training=training)
        if positions_N is None:
            return self._logits(x_BTD, context_BTD, embedded_BTD, weights_BTS, source), weights_BTS
        source = source._replace(
            ids_BS=rows_of(source.ids_BS, positions_N, ops.shape(input_ids_BT)[1])
        )
        x, context, embedded, weights = at_positions(
            (x_BTD, context_BTD, embedded_BTD, weights_BTS), positions_N
        )
        logits_N1V = self._logits(x, context, embedded, weights, source)
        return ops.squeeze(logits_N1V, axis=1), weights_BTS

    def step(
        self, ids_B: Any, state: TransformerState, source: TransformerSource
    ) -> tuple[Any, TransformerState, Any]:
        """Scores the token after `ids_B`.

        Returns:
          Logits [B, V], the new state, and the attention [B, S] paid meanwhile.
        """
        places_L = ops.arange(state.caches[0][0].shape[1])
        here_BL1 = (places_L == state.position_B[:, None])[..., None]
        seen_B1L = (places_L <= state.position_B[:, None])[:, None, :]
        embedded_B1D = with_positions(
            self.embedding, ids_B[:, None], self.compute_dtype, first_B=state.position_B
        )
        x_B1D: Any = embedded_B1D
        context_B1D: Any = None
        weights_B1S: Any = None
        caches = []
        for i, attention in enumerate(self.self_attentions):
            own = attention.project_self(x_B1D, None)
            cache = [
                ops.where(here_BL1, new_B1K, old_BLK)
                for new_B1K, old_BLK in zip(own[:2], state.caches[i], strict=True)
            ]
            caches.append(cache)
            x_B1D, _, _ = attention(x_B1D, Memory(cache[0], cache[1], seen_B1L))
            x_B1D, context_B1D, weights_B1S = self.attentions[i](x_B1D, source.attended[i])
            x_B1D = self.networks[i](x_B1D)
        logits_B1V = self._logits(x_B1D, context_B1D, embedded_B1D, weights_B1S, source)
        new_state = TransformerState(state.position_B + 1, caches)
        return logits_B1V[:, 0], new_state, weights_B1S[:, 0]

    def _source(self, encoded: Encoded) -> TransformerSource:
        attended = [
            attention.project_memory(encoded.memory_BSM, encoded.mask_BS)
            for attention in self.attentions
        ]
        return TransformerSource(attended, encoded.ids_BS)

    def _logits(
        self,
        x_BTD: Any,
        context_BTD: Any,
        embedded_BTD: Any,
        weights_BTS: Any,
        source: TransformerSource,
    ) -> Any:
        if self.last_norm:
            x_BTD = self.last_norm(x_BTD)
        logits_BTV = self.readout(self.readout.mix(x_BTD, None, None))
        if self.copy_head:
            known_BTX = ops.concatenate([context_BTD, x_BTD, embedded_BTD], axis=-1)
            return self.copy_head(logits_BTV, weights_BTS, known_BTX, source.ids_BS)
        return logits_BTV

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
