"""An export whose search is compiled by XLA, for servers that were built to allow it.

TensorFlow Serving as it is distributed refuses such a graph on a CPU. A compiled graph is
of one shape: rows are padded to a power of two and sources to a multiple of
`SOURCE_STEP`, so that few shapes are compiled, each when it first comes.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..models import features
from ..models.search import Hypotheses
from .predictor import Predictor
from .searcher import Read
from .tokenizer import source_ids

SOURCE_STEP = 16  # tokens


class CompiledPredictor(Predictor):
    """As `Predictor`, with `best`, `nbest` and `confidence` searched by XLA's code."""

    def _read(self, text: tf.Tensor) -> tuple[Read, tf.Tensor]:
        rows = tf.shape(text)[0]
        padded_rows = _power_of_two(rows)
        text = tf.pad(text, [[0, padded_rows - rows]])
        ids_BS = self._cut(source_ids(self.source_tokenizer, text))
        lengths_B = ids_BS.row_lengths()
        longest = tf.reduce_max(lengths_B)
        width = -(-longest // SOURCE_STEP) * SOURCE_STEP
        dense_BS = ids_BS.to_tensor(
            features.PAD, shape=tf.stack([tf.cast(padded_rows, tf.int64), width])
        )
        encoded = self._network.model.encoder(dense_BS, training=False)
        return Read(text, lengths_B, encoded), rows

    def _search(self, read: Read, wanted: int, watches: bool = False) -> Hypotheses:
        @tf.function(jit_compile=True, autograph=False)
        def compiled(read_tensors: Any) -> Hypotheses:
            return self._searcher.configured(Read(*read_tensors), wanted, watches)

        # XLA knows no strings: the text stays outside.
        return compiled((None, read.length_B, read.encoded))

    def _attention(self, read: Read, found: Hypotheses) -> tf.Tensor:
        return super()._attention(read, found)[..., : tf.reduce_max(read.length_B)]


def _power_of_two(rows: tf.Tensor) -> tf.Tensor:
    """The least power of two that is no less, and no less than 1."""
    powers = tf.bitwise.left_shift(1, tf.range(20))
    return tf.reduce_min(tf.boolean_mask(powers, powers >= rows))
