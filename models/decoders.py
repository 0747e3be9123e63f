"""The recurrent decoder: from an encoded source to a distribution over the next token.

Shape suffixes: B batch, T target time, S source time, E embedding features,
H hidden units, M memory features, F features fed to the first layer, V target
vocabulary, N positions that are asked for.

Every decoder has three calls: `begin` (what changes from step to step, and what
does not), `call` (a whole target by teacher forcing) and `step` (one token).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from keras import ops

from .attention import ATTENTIONS
from .cells import CELLS, Recurrent, RecurrentInitializer
from .composite import Composite
from .devices import on_cpu
from .dropout import SequenceDropout
from .embeddings import TokenEmbedding
from .encoders import Encoded
from .projection import Projection
from .readout import CopyHead, Readout, ReadoutKind, at_positions, rows_of, until_last
from .sequential import one_by_one

InitialState = Literal["project", "copy", "zero"]


class Source(NamedTuple):
    """The source as every decoding step sees it; [] where the decoder has no use for it."""

    attended: Any  # the Memory of each attention
    summary_BM: Any
    ids_BS: Any


class DecoderState(NamedTuple):
    """What one decoding step hands to the next; [] where the decoder has no such thing.

    Search moves rows of it about (`keras.tree.map_structure`) and knows no more.
    """

    layers: list[list[Any]]  # the cell states of each layer, [B, H]
    fed_BF: Any  # what the attention of the last step feeds into this one
    coverage_BS: Any  # the attention paid so far


class RecurrentDecoder(Composite):
    """A deep recurrent decoder with attention or a fixed context.

    s_t = f(y_t-1, s_t-1, fed_t), P(y_t) = softmax of the readout of s_t and c_t.
    The context c_t is attention's mean of the memory or, without attention, the
    encoder's summary. Without input feeding and coverage no step needs another's
    attention, and `call` runs each layer over the whole target at once.

    Args:
      vocabulary_size: V.
      embedding_size: E.
      units: H.
      layers: how many layers stand on each other.
      cell: one of `cells.CELLS`.
      attention: one of `attention.ATTENTIONS`, or 'none' for a fixed context.
      attention_units: K of the additive attention; H if None.
      heads: of the multi-head attention.
      attention_query: what asks: 'current', s_t (Luong et al., 2015), or
        'previous', s_t-1 (Bahdanau et al., 2015).
      attention_layer: whose state asks. From 'bottom' the context goes into all
        layers above as well: Wu et al. (2016), section 3.
      input_feeding: the first layer reads a context beside the token: the fixed
        one (Cho et al., 2014), c_t if s_t-1 asks, and if s_t asks what the last
        step made of its own (Luong et al., 2015, section 3.3).
      coverage: the score sees the attention paid so far (`AdditiveAttention`).
      readout: a kind of `readout.Readout`.
      readout_units: R of the readout; H if None.
      copy_head: mix in `readout.CopyHead`.
      initial_state: what each layer starts from: 'project', tanh(W h_T)
        (Bahdanau et al., 2015, section A.2.2); 'copy', the encoder layer's last
        states (Sutskever et al., 2014); 'zero'.
      residual_from: the first layer, from 1, whose input is added to its output.
      output_bias: the output layer has a bias, where it has weights of its own.
      tied_output: the embedding is the output layer as well.
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
        cell: str = "lstm",
        attention: str = "general",
        attention_units: int | None = None,
        heads: int = 1,
        attention_query: Literal["current", "previous"] = "current",
        attention_layer: Literal["top", "bottom"] = "top",
        input_feeding: bool = False,
        coverage: bool = False,
        readout: ReadoutKind = "concat",
        readout_units: int | None = None,
        copy_head: bool = False,
        initial_state: InitialState = "project",
        residual_from: int | None = None,
        output_bias: bool = True,
        tied_output: bool = False,
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
            "cell": cell,
            "attention": attention,
            "attention_units": attention_units,
            "heads": heads,
            "attention_query": attention_query,
            "attention_layer": attention_layer,
            "input_feeding": input_feeding,
            "coverage": coverage,
            "readout": readout,
            "readout_units": readout_units,
            "copy_head": copy_head,
            "initial_state": initial_state,
            "residual_from": residual_from,
            "output_bias": output_bias,
            "tied_output": tied_output,
            "dropout": dropout,
            "variational_dropout": variational_dropout,
            "forget_bias": forget_bias,
            "recurrent_initializer": recurrent_initializer,
        }
        self.units, self.readout_units = units, readout_units or units
        self.attends = attention != "none"
        self.asks_before = self.attends and attention_query == "previous"
        self.asker = 0 if attention_layer == "bottom" else layers - 1
        self.feeds, self.residual_from = input_feeding, residual_from
        self.initial_state = initial_state
        self.sequential = self.attends and (input_feeding or coverage or self.asks_before)

        same = {"dtype": self.dtype_policy}
        self.embedding = embedding or TokenEmbedding(
            vocabulary_size, embedding_size, name="embedding", **same
        )
        start: dict[str, Any] = {
            "forget_bias": forget_bias,
            "recurrent_initializer": recurrent_initializer,
        }
        self.layers = [
            Recurrent(cell, units, name=f"layer_{i}", **start, **same) for i in range(layers)
        ]
        # A plain list: Keras would not save layers of lists within lists.
        self.bridges = [
            Projection(units, activation="tanh", name=f"bridge_{i}_{j}", **same)
            for i in range(layers if initial_state == "project" else 0)
            for j in range(CELLS[cell][0].STATES)
        ]
        if self.attends:
            attention_class, fixed = ATTENTIONS[attention]
            extra: dict[str, Any] = dict(fixed)
            if attention == "additive":
                extra = {"coverage": coverage}
            elif attention == "multi_head":
                extra = {"heads": heads}
            width = (attention_units or units) if attention == "additive" else units
            self.attention = attention_class(width, name="attention", **extra, **same)
        self.readout = Readout(
            vocabulary_size,
            readout,
            self.readout_units,
            output_bias,
            tied_to=self.embedding if tied_output else None,
            name="readout",
            **same,
        )
        self.coverage = coverage
        self.copy_head = CopyHead(dtype="float32", name="copy_head") if copy_head else None
        self.dropout = SequenceDropout(dropout, variational_dropout, **same)

    def begin(self, encoded: Encoded, max_length: int = 0) -> tuple[DecoderState, Source]:
        """The state before the first token, and the source as `step` wants it.

        Args:
          encoded: of an encoder.
          max_length: how many steps there may be; recurrence does not mind.
        """
        batch = ops.shape(encoded.ids_BS)[0]
        if self.initial_state == "copy":
            layers = encoded.states
        elif self.initial_state == "zero":
            zeros = ops.zeros((batch, self.units), self.compute_dtype)
            layers = [[zeros] * layer.cell.STATES for layer in self.layers]
        else:
            projected = [bridge(encoded.summary_BM) for bridge in self.bridges]
            states = self.layers[0].cell.STATES
            layers = [projected[i : i + states] for i in range(0, len(projected), states)]
        attended: Any = []
        fed: Any = []
        if self.attends:
            attended = self.attention.project_memory(encoded.memory_BSM, encoded.mask_BS)
            if self.feeds and not self.asks_before:
                width = attended.values_BSM.shape[-1]
                if self.readout.kind == "attentional":
                    width = self.readout_units
                fed = ops.zeros((batch, width), self.compute_dtype)
        coverage: Any = []
        if self.coverage:
            coverage = ops.zeros(ops.shape(encoded.ids_BS), self.compute_dtype)
        state = DecoderState(layers, fed, coverage)
        return state, Source(attended, encoded.summary_BM, encoded.ids_BS)

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
          the positions, and the attention [B, T, S] paid meanwhile (zeros without
          attention; in training with positions, of use until the last of a row).
        """
        state, source = self.begin(encoded)
        embedded_BTE = self.embedding(input_ids_BT)
        parts: Any
        if self.sequential:
            *parts, weights = one_by_one(self, embedded_BTE, state, source, training)
        else:
            hidden, context, weights = self._at_once(
                embedded_BTE, state, source, positions_N, training
            )
            parts = [hidden, context, embedded_BTE]
        asked = weights
        if positions_N is not None:  # before the readout, whose products are then fewer
            parts, asked = at_positions((parts, weights), positions_N)
            steps = ops.shape(input_ids_BT)[1]
            source = source._replace(ids_BS=rows_of(source.ids_BS, positions_N, steps))
        read, known = parts if self.sequential else self._read(*parts)
        logits = self._logits(read, known, asked, source, training)
        return logits if positions_N is None else ops.squeeze(logits, axis=1), weights

    def _at_once(
        self,
        embedded_BTE: Any,
        state: DecoderState,
        source: Source,
        positions_N: Any,
        training: bool | None,
    ) -> tuple[Any, Any, Any]:
        """`_through`, each layer over the whole target; in training until what is asked for."""
        asked_BT = None
        if training and positions_N is not None and on_cpu():  # a GPU has no use for fewer rows
            asked_BT = until_last(positions_N, *ops.shape(embedded_BTE)[:2])
            if self.attends:
                memory = source.attended
                mask_BTS = ops.logical_and(memory.mask[:, None], asked_BT[:, :, None])
                source = source._replace(attended=memory._replace(mask=mask_BTS))

        def run(i: int, inputs_BTX: Any) -> Any:
            before = state.layers[i]
            kept_BH = self.dropout.of_state(before[0], training)
            return self.layers[i](inputs_BTX, asked_BT, before, kept_BH)[0]

        return self._through(
            embedded_BTE,
            state,
            source,
            run,
            lambda _, inputs: self.dropout.over_time(inputs, training),
        )

    def step(
        self, ids_B: Any, state: DecoderState, source: Source
    ) -> tuple[Any, DecoderState, Any]:
        """Scores the token after `ids_B`.

        Returns:
          Logits [B, V], the new state, and the attention [B, S] paid meanwhile.
        """
        read, known, weights, state = self.advance(
            self.embedding(ids_B),
            state,
            source,
            lambda i, inputs_BX: self.layers[i].step(inputs_BX, state.layers[i]),
            lambda _, inputs: inputs,
        )
        logits_BTV = self._logits(read, known, weights, source, training=False)
        return logits_BTV[:, 0], state, weights[:, 0]

    def _through(
        self,
        embedded_BTE: Any,
        state: DecoderState,
        source: Source,
        run: Callable[[int, Any], Any],
        drop: Callable[[int, Any], Any],
    ) -> tuple[Any, Any, Any]:
        """Sends T tokens through all layers; T is 1 where the decoder is sequential.

        Args:
          embedded_BTE: the tokens.
          state: before the first of them.
          source: of `begin`.
          run: runs layer i over its inputs.
          drop: the dropout before layer i.

        Returns:
          The states of the last layer [B, T, H], the context [B, T, M] (None if there
          is none), and the attention [B, T, S].
        """
        context, weights = None, None
        hidden = embedded_BTE
        if self.asks_before:
            previous_BTH = state.layers[self.asker][0][:, None]
            context, weights = self._attend(previous_BTH, state, source)
        if self.feeds:
            if self.asks_before:
                fed = context
            elif self.attends:
                fed = state.fed_BF[:, None]
            else:
                context = fed = ops.repeat(
                    source.summary_BM[:, None], ops.shape(embedded_BTE)[1], axis=1
                )
            hidden = ops.concatenate([hidden, fed], axis=-1)
        for i in range(len(self.layers)):
            inputs = hidden
            if self.attends and i > self.asker:
                inputs = ops.concatenate([hidden, context], axis=-1)
            outputs = run(i, drop(i, inputs))
            residual = self.residual_from and i + 1 >= self.residual_from
            hidden = outputs + hidden if residual else outputs
            if self.attends and not self.asks_before and i == self.asker:
                context, weights = self._attend(hidden, state, source)
        if weights is None:
            shape = (*ops.shape(embedded_BTE)[:2], ops.shape(source.ids_BS)[1])
            weights = ops.zeros(shape, self.compute_dtype)
        return hidden, context, weights

    def _read(self, hidden_BTH: Any, context_BTM: Any, embedded_BTE: Any) -> tuple[Any, Any]:
        """What is read out [B, T, R], and what the copy head knows."""
        known: Any = ()
        if self.copy_head:
            known = ops.concatenate([context_BTM, hidden_BTH, embedded_BTE], axis=-1)
        return self.readout.mix(hidden_BTH, context_BTM, embedded_BTE), known

    def _attend(self, query_BTH: Any, state: DecoderState, source: Source) -> tuple[Any, Any]:
        if self.coverage:
            return self.attention(query_BTH, source.attended, state.coverage_BS[:, None])
        return self.attention(query_BTH, source.attended)

    def advance(
        self,
        embedded_BE: Any,
        state: DecoderState,
        source: Source,
        step: Callable[[int, Any], tuple[Any, list[Any]]],
        drop: Callable[[int, Any], Any],
    ) -> tuple[Any, Any, Any, DecoderState]:
        """One step; all but the new state with T = 1.

        Args:
          embedded_BE: the token.
          state: before it.
          source: of `begin`.
          step: runs layer i over its input [B, X]: output [B, H] and new states.
          drop: the dropout before layer i.
        """
        layers = []

        def run(i: int, inputs_BTX: Any) -> Any:
            output_BH, states = step(i, inputs_BTX[:, 0])
            layers.append(list(states))
            return output_BH[:, None]

        embedded_B1E = embedded_BE[:, None]
        hidden, context, weights = self._through(embedded_B1E, state, source, run, drop)
        read, known = self._read(hidden, context, embedded_B1E)
        fed, coverage = state.fed_BF, state.coverage_BS
        if self.sequential and self.feeds and not self.asks_before:
            fed = (read if self.readout.kind == "attentional" else context)[:, 0]
        if self.coverage:
            coverage = coverage + weights[:, 0]
        return read, known, weights, DecoderState(layers, fed, coverage)

    def _logits(
        self, read_BTR: Any, known_BTX: Any, weights_BTS: Any, source: Source, training: bool | None
    ) -> Any:
        logits_BTV = self.readout(self.dropout(read_BTR, training=training))
        if self.copy_head:
            return self.copy_head(logits_BTV, weights_BTS, known_BTX, source.ids_BS)
        return logits_BTV

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
