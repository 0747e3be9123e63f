"""Encoders: from source ids to the memory that a decoder attends to.

Shape suffixes: B batch, S source time, E embedding features, H hidden units,
M memory features (H times the directions).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from . import features
from .cells import Recurrent


class Encoded(NamedTuple):
    """A source as the decoder sees it; every tensor has the batch first."""

    memory_BSM: Any
    mask_BS: Any  # True where a position is real
    summary_BM: Any  # the last state of each direction, side by side


class Encoder(keras.layers.Layer):
    """A deep recurrent encoder in one or both directions.

    With two directions each layer reads the source both ways and its output is
    [forward; backward]: Schuster and Paliwal (1997), Bahdanau et al. (2015),
    section 3.2. Dropout falls between layers: Zaremba et al. (2014).

    Args:
      vocabulary_size: how many source ids there are.
      embedding_size: E.
      units: H, of each direction.
      layers: how many layers stand on each other.
      bidirectional: read the source in both directions.
      cell: one of `cells.CELLS`.
      dropout: share of each layer's input that is dropped while training.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        units: int,
        layers: int = 1,
        bidirectional: bool = True,
        cell: str = "lstm",
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.settings = {
            "vocabulary_size": vocabulary_size,
            "embedding_size": embedding_size,
            "units": units,
            "layers": layers,
            "bidirectional": bidirectional,
            "cell": cell,
            "dropout": dropout,
        }
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_size, name="embedding")
        directions = (False, True) if bidirectional else (False,)
        self.layers = [
            [
                Recurrent(cell, units, reverse, name=f"{'backward' if reverse else 'forward'}_{i}")
                for reverse in directions
            ]
            for i in range(layers)
        ]
        self.dropout = keras.layers.Dropout(dropout)

    def call(self, source_ids_BS: Any, training: bool | None = None) -> Encoded:
        """Encodes token ids padded on the right with `features.PAD`."""
        mask_BS = ops.not_equal(source_ids_BS, features.PAD)
        memory = self.embedding(source_ids_BS)
        for layer in self.layers:
            memory = self.dropout(memory, training=training)
            outputs, last = [], []
            for direction in layer:
                output_BSH, states = direction(memory, mask_BS)
                outputs.append(output_BSH)
                last.append(states[0])
            memory = ops.concatenate(outputs, axis=-1)
        return Encoded(memory, mask_BS, ops.concatenate(last, axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
