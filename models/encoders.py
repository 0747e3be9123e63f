"""The recurrent encoder: from source ids to the memory that a decoder attends to.

Shape suffixes: B batch, S source time, E embedding features, H hidden units,
M memory features (H times the directions of the last layer).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from keras import ops

from . import features
from .cells import Recurrent, RecurrentInitializer
from .composite import Composite
from .dropout import SequenceDropout
from .embeddings import TokenEmbedding

Bidirectional = Literal["none", "first", "all"]


class Encoded(NamedTuple):
    """A source as the decoder sees it; every tensor has the batch first."""

    ids_BS: Any
    memory_BSM: Any
    mask_BS: Any  # True where a position is real
    summary_BM: Any  # the whole source in one vector
    states: list[list[Any]]  # what each layer's forward direction ended with, [B, H]


class RecurrentEncoder(Composite):
    """A deep recurrent encoder in one or both directions.

    With two directions a layer reads the source both ways and its output is
    [forward; backward]: Schuster and Paliwal (1997), Bahdanau et al. (2015),
    section 3.2. The summary is the last state of each direction of the last
    layer, side by side. Dropout falls between layers: see `dropout.SequenceDropout`.

    Args:
      vocabulary_size: how many source ids there are.
      embedding_size: E.
      units: H, of each direction.
      layers: how many layers stand on each other.
      bidirectional: which layers read in both directions; 'first' is that of
        Wu et al. (2016), section 3.2.
      cell: one of `cells.CELLS`.
      reverse_source: read the words before EOS last to first: Sutskever et al.
        (2014), section 3.3. The memory keeps the order of the source.
      residual_from: the first layer, from 1, whose input is added to its output:
        Wu et al. (2016), section 3.1. None for no such layer.
      dropout: share of each layer's input that is dropped while training.
      variational_dropout: the same features at all steps, and of states as well.
      forget_bias: what the bias of an LSTM's forget gate starts as.
      recurrent_initializer: what the recurrent weights start as: see `cells.Cell`.
      embedding: shared with another layer; None makes one. Not in the config.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        units: int,
        layers: int = 1,
        bidirectional: Bidirectional = "all",
        cell: str = "lstm",
        reverse_source: bool = False,
        residual_from: int | None = None,
        dropout: float = 0.0,
        variational_dropout: bool = False,
        forget_bias: float = 1.0,
        recurrent_initializer: RecurrentInitializer = "orthogonal",
        embedding: TokenEmbedding | None = None,
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
            "reverse_source": reverse_source,
            "residual_from": residual_from,
            "dropout": dropout,
            "variational_dropout": variational_dropout,
            "forget_bias": forget_bias,
            "recurrent_initializer": recurrent_initializer,
        }
        self.reverse_source, self.residual_from = reverse_source, residual_from
        self.embedding = embedding or TokenEmbedding(
            vocabulary_size, embedding_size, dtype=self.dtype_policy, name="embedding"
        )
        both_ways = {"none": 0, "first": 1, "all": layers}[bidirectional]
        same: dict[str, Any] = {
            "forget_bias": forget_bias,
            "recurrent_initializer": recurrent_initializer,
            "dtype": self.dtype_policy,
        }
        # Two plain lists: Keras would not save layers of lists within lists.
        self.forward = [Recurrent(cell, units, name=f"forward_{i}", **same) for i in range(layers)]
        self.backward = [
            Recurrent(cell, units, reverse=True, name=f"backward_{i}", **same)
            for i in range(both_ways)
        ]
        self.dropout = SequenceDropout(dropout, variational_dropout, dtype=self.dtype_policy)

    def call(self, source_ids_BS: Any, training: bool | None = None) -> Encoded:
        """Encodes token ids padded on the right with `features.PAD`."""
        mask_BS = ops.not_equal(source_ids_BS, features.PAD)
        read_ids_BS, order_BS = source_ids_BS, None
        if self.reverse_source:
            order_BS = _reversed_words(mask_BS)
            read_ids_BS = ops.take_along_axis(source_ids_BS, order_BS, axis=1)
        memory = self.embedding(read_ids_BS)
        start_BH = ops.zeros((ops.shape(memory)[0], self.settings["units"]), self.compute_dtype)
        states_of_layers, last = [], []
        for number, forward in enumerate(self.forward, start=1):
            below = memory
            memory = self.dropout.over_time(memory, training)
            outputs, states_of_directions = [], []
            for direction in (forward, *self.backward[number - 1 : number]):
                kept_BH = self.dropout.of_state(start_BH, training)
                output_BSH, states = direction(memory, mask_BS, kept_BH=kept_BH)
                outputs.append(output_BSH)
                states_of_directions.append(states)
            memory = ops.concatenate(outputs, axis=-1)
            if self.residual_from and number >= self.residual_from:
                memory = memory + below
            states_of_layers.append(list(states_of_directions[0]))
            last = [states[0] for states in states_of_directions]
        if order_BS is not None:  # which is its own inverse
            memory = ops.take_along_axis(memory, order_BS[..., None], axis=1)
        summary_BM = ops.concatenate(last, axis=-1)
        return Encoded(source_ids_BS, memory, mask_BS, summary_BM, states_of_layers)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


def _reversed_words(mask_BS: Any) -> Any:
    """Where each position reads from when all before the last real one turn round."""
    positions_BS = ops.broadcast_to(ops.arange(ops.shape(mask_BS)[1]), ops.shape(mask_BS))
    last_B1 = ops.sum(ops.cast(mask_BS, "int32"), axis=1, keepdims=True) - 1
    return ops.where(positions_BS < last_B1, last_B1 - 1 - positions_BS, positions_BS)
