"""What is exported: strings in, strings out, with everything in between inside.

One `tf.Module` holds the tokenizers, the weights and the search. It loads in a
process that imports tensorflow and tensorflow_text alone, and it uses no XLA,
which stock TensorFlow Serving refuses on a CPU.
"""

from __future__ import annotations

from typing import Annotated, Any

import tensorflow as tf
from pydantic import Field

from ..models import features
from ..models.configuration import Section
from ..models.search import IMPOSSIBLE, SearchConfig, length_limits, search
from ..models.seq2seq import Seq2Seq
from .tokenizer import Tokenizer, source_ids


class ServingConfig(Section):
    """The `serving` section: the limits and the name of the exported model."""

    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "seq2seq"
    max_source_tokens: Annotated[int, Field(ge=1)] = 256


class _Untracked:
    """Holds what TensorFlow must not look into."""

    def __init__(self, model: Seq2Seq):
        self.model = model


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
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        search_config: SearchConfig,
        max_source_tokens: int,
    ):
        super().__init__(name="predictor")
        # Tracked by TensorFlow, a Keras model would bring its optimizer's state
        # along and leave out layers that it holds in lists: track the weights.
        self._network = _Untracked(model)
        self.weights = [variable.value for variable in model.weights]
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self._search_config = search_config
        self._max_source_tokens = max_source_tokens

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=features.TEXT)])
    def best(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """The best hypothesis of each source: text, score, log_prob, each [N]."""
        return {name: values[:, 0] for name, values in self._answer(text, 1).items()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=features.TEXT)])
    def nbest(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """K hypotheses of each source, best first: text, score, log_prob, each [N, K].

        K is the beam size of the export. A place that search left empty holds
        '' and the lowest finite float.
        """
        return self._answer(text, self._search_config.beam_size)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `best`, for serialized `tf.train.Example`s with a `source` each."""
        spec = {features.SOURCE: tf.io.FixedLenFeature([], tf.string)}
        return self.best(tf.io.parse_example(examples, spec)[features.SOURCE])

    def export(self, directory: str) -> None:
        """Writes a SavedModel with the signatures that `features` names."""
        signatures: dict[str, Any] = {
            features.SERVING_SIGNATURE: self.best,
            features.NBEST_SIGNATURE: self.nbest,
            features.EXAMPLES_SIGNATURE: self.examples,
        }
        tf.saved_model.save(self, directory, signatures=signatures)

    def _answer(self, text: tf.Tensor, n_best: int) -> dict[str, tf.Tensor]:
        rows = tf.shape(text)[0]
        # An LSTM cannot run over no rows: give it one and take the answer away.
        text = tf.pad(text, [[0, tf.cast(rows == 0, tf.int32)]])
        ragged_BS = self._cut(source_ids(self.source_tokenizer, text))
        length_B = ragged_BS.row_lengths()
        model = self._network.model
        encoded = model.encoder(ragged_BS.to_tensor(features.PAD), training=False)
        state, memory = model.decoder.begin(encoded)
        limits_B = length_limits(length_B, self._search_config)
        found = search(model.decoder.step, state, memory, limits_B, self._search_config, n_best)

        shape = tf.shape(found.ids_BNL)
        flat = tf.reshape(found.ids_BNL, [-1, shape[2]])
        answers = tf.reshape(self.target_tokenizer.detokenize(flat), shape[:2])
        empty = (length_B == 1)[:, tf.newaxis]
        # One empty answer to an empty source; the other places stay empty.
        certain = tf.where(tf.range(n_best) == 0, 0.0, IMPOSSIBLE)
        return {
            features.TEXT: tf.where(empty, "", answers)[:rows],
            features.SCORE: tf.where(empty, certain, found.scores_BN)[:rows],
            features.LOG_PROB: tf.where(empty, certain, found.log_probs_BN)[:rows],
        }

    def _cut(self, ids_BS: tf.RaggedTensor) -> tf.RaggedTensor:
        """Cuts sources to the limit, keeping the EOS that every source ends with."""
        limit = self._max_source_tokens
        kept = ids_BS[:, : limit + 1]
        end = tf.fill([ids_BS.nrows(), 1], tf.constant(features.EOS, tf.int64))
        return tf.concat([kept[:, :-1], end], axis=1)
