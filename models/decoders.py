"""Decoders: from an encoded source to a distribution over the next token.

Shape suffixes: B batch, T target time, S source time, H hidden units,
M memory features, V target vocabulary, K key features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from .attention import ATTENTIONS
from .cells import Recurrent
from .encoders import Encoded
from .projection import Projection


class Memory(NamedTuple):
    """The source as every decoding step sees it; it does not change meanwhile."""

    keys_BSK: Any
    values_BSM: Any
    mask_BS: Any


DecoderState = list[list[Any]]
"""What one decoding step hands to the next: the cell states of each layer, [B, H].

Search moves rows of it about (`keras.tree.map_structure`) and knows no more.
"""


class Decoder(keras.layers.Layer):
    """A deep recurrent decoder whose current state asks the source.

    s_t = f(y_{t-1}, s_{t-1}), c_t = attention(s_t, h),
    P(y_t) = softmax(W [s_t; c_t] + b): the decoder of Luong et al. (2015),
    section 3, without input feeding, so that training runs over the whole
    target at once. Every layer starts from tanh(W_0 h_T), as in Bahdanau et al.
    (2015), section A.2.2.

    Args:
      vocabulary_size: V.
      embedding_size: width of the target embedding.
      units: H.
      layers: how many layers stand on each other.
      cell: one of `cells.CELLS`.
      attention: one of `attention.ATTENTIONS`.
      dropout: share of each layer's input that is dropped while training.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        units: int,
        layers: int = 1,
        cell: str = "lstm",
        attention: str = "additive",
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "vocabulary_size": vocabulary_size,
            "embedding_size": embedding_size,
            "units": units,
            "layers": layers,
            "cell": cell,
            "attention": attention,
            "dropout": dropout,
        }
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_size, name="embedding")
        self.layers = [Recurrent(cell, units, name=f"layer_{i}") for i in range(layers)]
        self.bridges = [
            [
                Projection(units, activation="tanh", name=f"bridge_{i}_{j}")
                for j in range(len(layer.cell.state_size))
            ]
            for i, layer in enumerate(self.layers)
        ]
        self.attention = ATTENTIONS[attention](units, name="attention")
        self.output_projection = Projection(vocabulary_size, name="output")
        self.dropout = keras.layers.Dropout(dropout)

    def begin(self, encoded: Encoded) -> tuple[DecoderState, Memory]:
        """The state before the first token, and the source as `step` wants it."""
        state = [[bridge(encoded.summary_BM) for bridge in layer] for layer in self.bridges]
        keys_BSK = self.attention.project_memory(encoded.memory_BSM)
        return state, Memory(keys_BSK, encoded.memory_BSM, encoded.mask_BS)

    def call(self, input_ids_BT: Any, encoded: Encoded, training: bool | None = None) -> Any:
        """Scores a whole target by teacher forcing.

        Args:
          input_ids_BT: the target, BOS first, without its last token.
          encoded: the source.
          training: whether dropout applies.

        Returns:
          Logits [B, T, V] for the token after each input.
        """
        state, memory = self.begin(encoded)
        hidden_BTH = self.embedding(input_ids_BT)
        for layer, initial in zip(self.layers, state, strict=True):
            hidden_BTH = self.dropout(hidden_BTH, training=training)
            hidden_BTH, _ = layer(hidden_BTH, initial_state=initial)
        logits_BTV, _ = self._read_out(hidden_BTH, memory, training)
        return logits_BTV

    def step(
        self, ids_B: Any, state: DecoderState, memory: Memory
    ) -> tuple[Any, DecoderState, Any]:
        """Scores the token after `ids_B`.

        Returns:
          Logits [B, V], the new state, and the attention [B, S] paid meanwhile.
        """
        hidden_BH = self.embedding(ids_B)
        new_state = []
        for layer, states in zip(self.layers, state, strict=True):
            hidden_BH, states = layer.step(hidden_BH, states)
            new_state.append(list(states))
        logits_BTV, weights_BTS = self._read_out(hidden_BH[:, None, :], memory, training=False)
        return logits_BTV[:, 0], new_state, weights_BTS[:, 0]

    def _read_out(self, hidden_BTH: Any, memory: Memory, training: bool | None) -> tuple[Any, Any]:
        context_BTM, weights_BTS = self.attention(
            hidden_BTH, memory.keys_BSK, memory.values_BSM, memory.mask_BS
        )
        read_BTR = ops.concatenate([hidden_BTH, context_BTM], axis=-1)
        read_BTR = self.dropout(read_BTR, training=training)
        return self.output_projection(read_BTR), weights_BTS

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
