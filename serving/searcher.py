"""Search as an export was configured to, or as each row asks.

Shape suffixes: B batch, K places for hypotheses, L maximum target length, S source time,
X rows of any kind.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ..models import features
from ..models.attended import Attended
from ..models.encoders import Encoded
from ..models.search import (
    Begun,
    Hypotheses,
    beam_search,
    greedy_search,
    sample,
    without_places,
)
from ..models.search_options import IMPOSSIBLE, Options, SearchConfig, options_for
from ..models.seq2seq import Seq2Seq


class Read(NamedTuple):
    """A batch of sources, encoded."""

    text_B: tf.Tensor
    length_B: tf.Tensor  # EOS included
    encoded: Encoded


class Searcher:
    """Finds the hypotheses of sources that are encoded.

    Args:
      model: the trained network.
      config: the `search` section.
    """

    def __init__(self, model: Seq2Seq, config: SearchConfig):
        self._model, self._config = model, config

    def configured(self, read: Read, wanted: int, watches: bool = False) -> Hypotheses:
        """So many hypotheses of each source, as the export was configured to search.

        Args:
          read: the sources.
          wanted: how many hypotheses.
          watches: whether to tell where they looked.
        """
        config, length = self._config, self._config.max_length
        options = options_for(config, read.length_B, wanted)
        covers = config.coverage_penalty > 0
        begun = self._begun(read)
        if config.temperature > 0:
            seed_B = tf.fill(tf.shape(read.length_B), config.seed)
            found = self._draw(begun, options, seed_B, covers, watches)
        elif config.beam_size == 1:
            found = greedy_search(begun, options, length, covers, watches)
        else:
            n_best = min(wanted, config.beam_size)
            found = beam_search(begun, options, length, covers, config.beam_size, n_best, watches)
        return _settled(read, _with_places(found, wanted))

    def requested(self, read: Read, options: Options, seed_B: tf.Tensor) -> Hypotheses:
        """Draws for the rows that ask for it, searches for the others."""
        most, length = self._config.most_hypotheses, self._config.max_length
        covers = self._model.has_attention
        begun = self._begun(read)
        drawn_B = options.temperature_B > 0
        nothing = _with_places(None, most, tf.shape(read.length_B)[0], length)

        def draw() -> Hypotheses:
            warm = options._replace(temperature_B=tf.where(drawn_B, options.temperature_B, 1.0))
            return self._draw(begun, warm, seed_B, covers)

        def look() -> Hypotheses:
            return beam_search(begun, options, length, covers, most, most)

        drawn = tf.cond(tf.reduce_any(drawn_B), draw, lambda: nothing)
        looked = tf.cond(tf.reduce_all(drawn_B), lambda: nothing, look)
        found = keras.tree.map_structure(
            lambda a, b: tf.where(tf.reshape(drawn_B, [-1] + [1] * (len(a.shape) - 1)), a, b),
            drawn,
            looked,
        )
        found = without_places(found, tf.range(most) >= options.hypotheses_B[:, tf.newaxis])
        return _settled(read, found)

    def _draw(
        self,
        begun: Begun,
        options: Options,
        seed_B: tf.Tensor,
        covers: bool,
        watches: bool = False,
    ) -> Hypotheses:
        """Draws as many hypotheses as each row wants, and keeps all of them.

        Were more drawn and the best kept, they would not be draws. So each is a
        row of its own for `sample`, which puts the best first.
        """
        places, length = self._config.most_hypotheses, self._config.max_length

        def each(x: tf.Tensor) -> tf.Tensor:
            return tf.repeat(x, places, axis=0)

        uniforms_BKL = _uniforms(seed_B, places, length)
        drawn_X1 = sample(
            Begun(begun.step, *keras.tree.map_structure(each, begun[1:])),
            Options(*(None if option is None else each(option) for option in options)),
            length,
            covers,
            tf.reshape(uniforms_BKL, [-1, 1, length]),
            watches,
        )
        drawn = keras.tree.map_structure(
            lambda x: keras.ops.reshape(x, [-1, places, *keras.ops.shape(x)[2:]]), drawn_X1
        )
        drawn = without_places(drawn, tf.range(places) >= options.hypotheses_B[:, tf.newaxis])
        order_BK = tf.argsort(drawn.scores_BN, direction="DESCENDING", stable=True)
        return keras.tree.map_structure(lambda x: tf.gather(x, order_BK, batch_dims=1), drawn)

    def _begun(self, read: Read) -> Begun:
        decoder = self._model.decoder
        state, source = decoder.begin(read.encoded, self._config.max_length)
        return Begun(decoder.step, state, source, read.encoded.mask_BS)


def _settled(read: Read, found: Hypotheses) -> Hypotheses:
    """Puts one empty hypothesis, which is certain, where the source is empty."""
    empty_B = read.length_B == 1
    places, length = found.ids_BNL.shape[1:]
    first_K, first_L = tf.range(places) == 0, tf.range(length) == 0
    only_KL = tf.where(first_K[:, tf.newaxis] & first_L, features.EOS, features.PAD)
    certain_K = tf.where(first_K, 0.0, IMPOSSIBLE)
    return Hypotheses(
        tf.where(empty_B[:, tf.newaxis, tf.newaxis], only_KL, found.ids_BNL),
        tf.where(empty_B[:, tf.newaxis], certain_K, found.scores_BN),
        tf.where(empty_B[:, tf.newaxis], certain_K, found.log_probs_BN),
        keras.tree.map_structure(
            lambda only_KS, x: tf.where(empty_B[:, tf.newaxis, tf.newaxis], only_KS, x),
            _end_alone(found.attended, first_K),
            found.attended,
        ),
    )


def _end_alone(attended: Attended, first_K: tf.Tensor) -> Attended:
    """What an EOS gives that has nothing to look at but the EOS of its source: all of it."""
    if keras.tree.is_nested(attended.all_BNS):
        return Attended()
    first_S = tf.range(tf.shape(attended.all_BNS)[2]) == 0
    given_KS = tf.cast(first_K[:, tf.newaxis] & first_S, tf.float32)
    nothing_KS = tf.zeros_like(given_KS)
    return Attended(given_KS, nothing_KS, nothing_KS)


def _uniforms(seed_B: tf.Tensor, samples: int, length: int) -> tf.Tensor:
    """What decides each draw [B, samples, length]: of a row's own seed alone.

    The algorithm is named, so that a seed means the same on every machine.
    """
    uniforms = tf.map_fn(
        lambda seed: tf.random.stateless_uniform(
            [samples, length], tf.stack([seed, 0]), alg="philox"
        ),
        seed_B,
        fn_output_signature=tf.TensorSpec([samples, length], tf.float32),
    )
    return uniforms


def _with_places(
    found: Hypotheses | None, places: int, rows: Any = None, length: int = 0
) -> Hypotheses:
    """Widens hypotheses to as many places, the new ones empty; None has none."""
    if found is None:
        return Hypotheses(
            tf.fill([rows, places, length], features.PAD),
            tf.fill([rows, places], IMPOSSIBLE),
            tf.fill([rows, places], IMPOSSIBLE),
        )
    more = places - found.scores_BN.shape[1]
    if more <= 0:
        return found
    return Hypotheses(
        tf.pad(found.ids_BNL, [[0, 0], [0, more], [0, 0]], constant_values=features.PAD),
        tf.pad(found.scores_BN, [[0, 0], [0, more]], constant_values=IMPOSSIBLE),
        tf.pad(found.log_probs_BN, [[0, 0], [0, more]], constant_values=IMPOSSIBLE),
        keras.tree.map_structure(lambda x: tf.pad(x, [[0, 0], [0, more], [0, 0]]), found.attended),
    )
