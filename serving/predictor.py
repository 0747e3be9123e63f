"""What is exported: strings in, strings out, with everything in between inside.

One `tf.Module` holds the tokenizers, the weights and the search. It loads in a
process that imports tensorflow and tensorflow_text alone, and it uses no XLA,
which stock TensorFlow Serving refuses on a CPU.

Shape suffixes: B batch, K hypotheses, S source time, T target time, L maximum
target length.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated, Any

import keras
import tensorflow as tf
from pydantic import Field

from ..models import features
from ..models.configuration import Section
from ..models.search import Hypotheses
from ..models.search_options import IMPOSSIBLE, SearchConfig
from ..models.seq2seq import Seq2Seq
from .compact_weights import CompactWeights
from .confidence import of_attention
from .decode_options import INPUTS, one_for_each, read_options
from .export_record import weight_paths, write_record
from .searcher import Read, Searcher
from .teacher_forcing import force
from .tokenizer import Tokenizer, source_ids
from .warm_up import write_warm_up


class ServingConfig(Section):
    """The `serving` section: the limits and the name of the exported model."""

    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "seq2seq"
    max_source_tokens: Annotated[int, Field(ge=1)] = 256


class _Untracked:
    """Holds what TensorFlow must not look into."""

    def __init__(self, model: Seq2Seq):
        self.model = model


def _signature(*inputs: tf.TensorSpec) -> Any:
    """A graph of its own; without autograph, of which nothing here has need, in half the time."""

    def graph(method: Callable[..., Any]) -> Any:
        @functools.wraps(method)
        def with_weights(self: Predictor, *arguments: tf.Tensor) -> Any:
            with self._compact.scope() if self._compact else nullcontext():
                return method(self, *arguments)

        return tf.function(with_weights, input_signature=inputs, autograph=False)

    return graph


class Predictor(tf.Module):
    """A trained model as a service: text [N] -> text, score and log_prob.

    A source of which no token is left (empty, or white space alone) is answered
    with an empty string, score 0 and log-probability 0. A source longer than
    `max_source_tokens` is cut there. Zero rows are answered with zero rows.

    Args:
      model: the trained network.
      source_tokenizer: of the language it reads.
      target_tokenizer: of the language it writes.
      search_config: how it looks for its answer.
      max_source_tokens: tokens of a source that are read.
      compact: its weights in fewer bytes, which are exported in place of its own.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        search_config: SearchConfig,
        max_source_tokens: int,
        compact: CompactWeights | None = None,
    ):
        super().__init__(name="predictor")
        # Tracked by TensorFlow, a Keras model would bring its optimizer's state
        # along and leave out layers that it holds in lists: track the weights.
        self._network = _Untracked(model)
        self.weights = [] if compact else [variable.value for variable in model.weights]
        self._compact = compact
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self._searcher = Searcher(model, search_config)
        self._search_config = search_config
        self._max_source_tokens = max_source_tokens

    @_signature(tf.TensorSpec([None], tf.string, name=features.TEXT))
    def best(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """The best hypothesis of each source: text, score, log_prob, each [N]."""
        read, rows, found = self._best_found(text)
        return {name: values[:rows, 0] for name, values in self._answers(read, found).items()}

    @_signature(tf.TensorSpec([None], tf.string, name=features.TEXT))
    def nbest(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """K hypotheses of each source, best first: text, score, log_prob, each [N, K].

        K is the largest beam size of the export. A place that search left empty
        holds '' and the lowest finite float.
        """
        read, rows, found = self._all_found(text)
        return {name: values[:rows] for name, values in self._answers(read, found).items()}

    @_signature(tf.TensorSpec([None], tf.string, name=features.TEXT))
    def explain(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `nbest`, with the tokens of both sides and the attention between them.

        See `features` for names and shapes. The attention is that of a pass by
        teacher forcing over each hypothesis.
        """
        return self._explained(*self._all_found(text))

    @_signature(tf.TensorSpec([None], tf.string, name=features.TEXT))
    def confidence(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `best`, with what the model itself tells of how good its answer may be.

        See `features` for names and `of_attention` for what the attention tells, which is
        watched while the answer is searched for.
        """
        read, rows = self._read(text)
        found = self._search(read, 1, watches=self._network.model.has_attention)
        outputs = {name: values[:, 0] for name, values in self._answers(read, found).items()}
        written_B = tf.math.count_nonzero(found.ids_BNL[:, 0], axis=-1, dtype=tf.int32)
        read_B = tf.cast(read.length_B, tf.int32)
        outputs |= {
            features.SOURCE_LENGTH: read_B,
            features.TARGET_LENGTH: written_B,
            features.MEAN_LOG_PROB: outputs[features.LOG_PROB] / tf.cast(written_B, tf.float32),
        }
        if self._network.model.has_attention:
            first = keras.tree.map_structure(lambda x: x[:, 0], found.attended)
            outputs |= of_attention(first, written_B, read_B)
        return {name: values[:rows] for name, values in outputs.items()}

    @_signature(
        tf.TensorSpec([None], tf.string, name=features.TEXT),
        tf.TensorSpec([None], tf.string, name=features.REFERENCE),
    )
    def teacher_forcing(self, text: tf.Tensor, reference: tf.Tensor) -> dict[str, tf.Tensor]:
        """How probable a given target of each source is: see `features` and `force`.

        Raises:
          InvalidArgumentError: there is not one reference for each source.
        """
        read, rows = self._read(text)
        given = one_for_each(rows, {features.REFERENCE: reference})[features.REFERENCE]
        given = tf.pad(given, [[0, tf.shape(read.text_B)[0] - rows]])
        outputs = force(self._network.model, self.target_tokenizer, read.encoded, given)
        return {name: values[:rows] for name, values in outputs.items()}

    @_signature(*INPUTS)
    def decode(self, text: tf.Tensor, *options: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `nbest`, with the options of each source: see `decode_options.INPUTS`.

        Raises:
          InvalidArgumentError: an option is beyond the export's limits, or has not
            one value for each source.
        """
        read, rows, found = self._requested_found(text, *options)
        return {name: values[:rows] for name, values in self._answers(read, found).items()}

    @_signature(*INPUTS)
    def explain_decode(self, text: tf.Tensor, *options: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `explain`, of what `decode` answers to the same.

        Raises:
          InvalidArgumentError: as `decode`.
        """
        return self._explained(*self._requested_found(text, *options))

    @_signature(tf.TensorSpec([None], tf.string, name="examples"))
    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `best`, for serialized `tf.train.Example`s with a `source` each."""
        spec = {features.SOURCE: tf.io.FixedLenFeature([], tf.string)}
        return self.best(tf.io.parse_example(examples, spec)[features.SOURCE])

    def export(self, directory: str) -> None:
        """Writes a SavedModel with the signatures that `features` names."""
        signatures: dict[str, Any] = {
            features.SERVING_SIGNATURE: self.best,
            features.NBEST_SIGNATURE: self.nbest,
            features.EXPLAIN_SIGNATURE: self.explain,
            features.CONFIDENCE_SIGNATURE: self.confidence,
            features.TEACHER_FORCING_SIGNATURE: self.teacher_forcing,
            features.DECODE_SIGNATURE: self.decode,
            features.EXPLAIN_DECODE_SIGNATURE: self.explain_decode,
            features.EXAMPLES_SIGNATURE: self.examples,
        }
        tf.saved_model.save(self, directory, signatures=signatures)
        model = self._network.model
        if not self._compact:  # from narrow weights no training goes on
            write_record(
                directory,
                model.settings,
                weight_paths(model.weights),
                (self.source_tokenizer.model, self.target_tokenizer.model),
            )
        write_warm_up(directory)

    # Functions of their own, so that the signatures that share a search share its graph: most
    # of an export is search, and most of the time that exporting and loading take.
    @_signature(tf.TensorSpec([None], tf.string))
    def _best_found(self, text: tf.Tensor) -> tuple[Read, tf.Tensor, Hypotheses]:
        read, rows = self._read(text)
        return read, rows, self._search(read, 1)

    @_signature(tf.TensorSpec([None], tf.string))
    def _all_found(self, text: tf.Tensor) -> tuple[Read, tf.Tensor, Hypotheses]:
        read, rows = self._read(text)
        return read, rows, self._search(read, self._search_config.most_hypotheses)

    @_signature(*INPUTS)
    def _requested_found(
        self, text: tf.Tensor, *options: tf.Tensor
    ) -> tuple[Read, tf.Tensor, Hypotheses]:
        read, rows = self._read(text)
        # The row that `_read` adds where there is none has every option's first default.
        extra = tf.shape(read.text_B)[0] - rows
        names = [spec.name for spec in INPUTS[1:]]
        given = {
            name: tf.concat([value, _defaults(value.dtype, extra)], axis=0)
            for name, value in one_for_each(rows, dict(zip(names, options, strict=True))).items()
        }
        asked, seed_B = read_options(
            given,
            self._search_config,
            read.length_B,
            self.target_tokenizer,
            self._network.model.has_attention,
        )
        return read, rows, self._searcher.requested(read, asked, seed_B)

    def _read(self, text: tf.Tensor) -> tuple[Read, tf.Tensor]:
        """Encodes sources; returns how many they are as well."""
        rows = tf.shape(text)[0]
        # A recurrence cannot run over no rows: give it one and take the answer away.
        text = tf.pad(text, [[0, tf.cast(rows == 0, tf.int32)]])
        ids_BS = self._cut(source_ids(self.source_tokenizer, text))
        encoded = self._network.model.encoder(ids_BS.to_tensor(features.PAD), training=False)
        return Read(text, ids_BS.row_lengths(), encoded), rows

    def _search(self, read: Read, wanted: int, watches: bool = False) -> Hypotheses:
        return self._searcher.configured(read, wanted, watches)

    def _answers(self, read: Read, found: Hypotheses) -> dict[str, tf.Tensor]:
        shape = tf.shape(found.ids_BNL)
        flat = tf.reshape(found.ids_BNL, [-1, shape[2]])
        answers = tf.reshape(self.target_tokenizer.detokenize(flat), shape[:2])
        if self._search_config.replace_unknown and self._network.model.has_attention:
            answers = self._with_source_words(read, found, answers)
        return {
            features.TEXT: answers,
            features.SCORE: found.scores_BN,
            features.LOG_PROB: found.log_probs_BN,
        }

    def _explained(self, read: Read, rows: tf.Tensor, found: Hypotheses) -> dict[str, tf.Tensor]:
        """What `explain` gives for hypotheses, of the first so many rows."""
        empty = found.scores_BN == IMPOSSIBLE
        attention_BKTS = self._attention(read, found)
        ids_BKT = found.ids_BNL[..., : tf.shape(attention_BKTS)[2]]
        real_BKT = ids_BKT != features.PAD
        outputs = {
            **self._answers(read, found),
            features.SOURCE_TOKENS: self._source_tokens(read)[0],
            features.SOURCE_LENGTH: tf.cast(read.length_B, tf.int32),
            features.TARGET_TOKENS: self.target_tokenizer.pieces(ids_BKT),
            features.TARGET_LENGTH: tf.where(
                empty, 0, tf.math.count_nonzero(real_BKT, axis=-1, dtype=tf.int32)
            ),
            features.ATTENTION: tf.where(real_BKT[..., tf.newaxis], attention_BKTS, 0.0),
        }
        return {name: values[:rows] for name, values in outputs.items()}

    def _with_source_words(self, read: Read, found: Hypotheses, answers_BK: tf.Tensor) -> tf.Tensor:
        """Writes for each UNK the source token that it attends to most.

        Luong et al. (2015), section 4.2, after Jean et al. (2015).
        """
        unknown_BKL = found.ids_BNL == features.UNK

        def replaced() -> tf.Tensor:
            attention_BKTS = self._attention(read, found)
            steps = tf.shape(attention_BKTS)[2]
            inner_BS = tf.sequence_mask(read.length_B - 1, tf.shape(attention_BKTS)[3])
            weights = tf.where(inner_BS[:, tf.newaxis, tf.newaxis], attention_BKTS, -1.0)
            _, words_BS = self._source_tokens(read)
            words_BKT = tf.gather(words_BS, tf.argmax(weights, axis=-1), batch_dims=1)
            mixed_BK = self.target_tokenizer.spell(found.ids_BNL[..., :steps], words_BKT)
            return tf.where(tf.reduce_any(unknown_BKL, axis=-1), mixed_BK, answers_BK)

        return tf.cond(tf.reduce_any(unknown_BKL), replaced, lambda: answers_BK)

    def _attention(self, read: Read, found: Hypotheses) -> tf.Tensor:
        """The attention [B, K, T, S] by teacher forcing; T is the longest hypothesis."""
        shape = tf.shape(found.ids_BNL)
        ids_XL = tf.reshape(found.ids_BNL, [-1, shape[2]])
        longest = tf.reduce_max(tf.math.count_nonzero(ids_XL, axis=-1, dtype=tf.int32))
        ids_XT = ids_XL[:, : tf.maximum(longest, 1)]
        inputs_XT = tf.pad(ids_XT[:, :-1], [[0, 0], [1, 0]], constant_values=features.BOS)
        encoded = keras.tree.map_structure(lambda x: tf.repeat(x, shape[1], axis=0), read.encoded)
        _, weights_XTS = self._network.model.decoder(inputs_XT, encoded, training=False)
        weights_XTS = tf.cast(weights_XTS, tf.float32)
        return tf.reshape(weights_XTS, tf.concat([shape[:2], tf.shape(weights_XTS)[1:]], axis=0))

    def _source_tokens(self, read: Read) -> list[tf.Tensor]:
        """The tokens [B, S] of what was read, in both spellings of `Tokenizer.spelled`.

        EOS is the last; '' beyond.
        """
        end = tf.fill([tf.shape(read.text_B)[0], 1], features.SPECIAL_TOKENS[features.EOS])
        spellings = self.source_tokenizer.spelled(read.text_B, self._max_source_tokens)
        return [tf.concat([tokens, end], axis=1).to_tensor("") for tokens in spellings]

    def _cut(self, ids_BS: tf.RaggedTensor) -> tf.RaggedTensor:
        """Cuts sources to the limit, keeping the EOS that every source ends with."""
        limit = self._max_source_tokens
        kept = ids_BS[:, : limit + 1]
        end = tf.fill([ids_BS.nrows(), 1], tf.constant(features.EOS, tf.int64))
        return tf.concat([kept[:, :-1], end], axis=1)


def _defaults(dtype: tf.DType, rows: tf.Tensor) -> tf.Tensor:
    """What a request that asks for nothing would have, [rows]."""
    return tf.fill([rows], "" if dtype == tf.string else tf.constant(-1, dtype))
