"""The text side of a model: SentencePiece in the graph, the same everywhere.

Preprocessing and the exported model both tokenize with this class, so the ids
a model was trained on are the ids it is served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import tensorflow as tf
import tensorflow_text as tf_text

from ..models import features

SOURCE_MODEL = "source.model"
TARGET_MODEL = "target.model"
SPACE = "\u2581"  # how SentencePiece writes a space inside of a piece


class Tokenizer(tf.Module):
    """Text to token ids and back, by a SentencePiece model.

    Args:
      model: the serialized SentencePiece model, whose special ids are those of
        `features`.
    """

    def __init__(self, model: bytes, name: str = "tokenizer"):
        super().__init__(name=name)
        # The kernel names its resource after its node, and whatever is loaded
        # into one process shares resources by name: two tokenizers of one model,
        # or of two models, would silently be the same. So the name tells them apart.
        digest = hashlib.sha256(model).hexdigest()[:16]
        self._pieces = tf_text.SentencepieceTokenizer(model, name=f"sentencepiece_{digest}")

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are; to be asked outside of a graph."""
        return int(self._pieces.vocab_size())

    def tokenize(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Maps UTF-8 strings [N] to int64 ids [N, (tokens)], no BOS, no EOS."""
        return tf.cast(self._pieces.tokenize(text), tf.int64)

    def detokenize(self, ids: tf.Tensor) -> tf.Tensor:
        """Maps int32 ids [N, L], special ids among them, to UTF-8 strings [N].

        PAD, BOS and EOS leave no trace; UNK becomes SentencePiece's sign for it.
        """
        ids = tf.cast(ids, tf.int32)
        real = (ids != features.PAD) & (ids != features.BOS) & (ids != features.EOS)
        return self._pieces.detokenize(tf.ragged.boolean_mask(ids, real))

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """Maps int32 ids of any shape to SentencePiece's pieces, '' for PAD."""
        pieces = self._pieces.id_to_string(tf.cast(ids, tf.int32))
        return tf.where(ids == features.PAD, "", pieces)

    def surfaces(self, text: tf.Tensor) -> tf.RaggedTensor:
        """The bytes of each string [N] that became each token, [N, (tokens)].

        A piece where the tokenizer knows it, and the text as it was written
        where it does not.
        """
        ids, starts, ends = self._pieces.tokenize_with_offsets(text)
        rows = tf.gather(text, ids.value_rowids())
        written = tf.strings.substr(rows, starts.values, ends.values - starts.values)
        known = self._pieces.id_to_string(ids.values)
        unknown = tf.strings.regex_replace(written, r"\s", SPACE)
        return ids.with_values(tf.where(ids.values == features.UNK, unknown, known))

    def join(self, pieces: tf.Tensor) -> tf.Tensor:
        """Maps pieces [N, L], '' where there is none, to the text [N] they spell."""
        text = tf.strings.regex_replace(tf.strings.reduce_join(pieces, axis=-1), SPACE, " ")
        return tf.strings.strip(text)


def source_ids(tokenizer: Tokenizer, text: tf.Tensor) -> tf.RaggedTensor:
    """The ids that the encoder reads: tokens, EOS. int64 [N, (S)]."""
    return _framed(tokenizer.tokenize(text), [], [features.EOS])


def target_ids(tokenizer: Tokenizer, text: tf.Tensor) -> tf.RaggedTensor:
    """The ids that the decoder learns: BOS, tokens, EOS. int64 [N, (T)]."""
    return _framed(tokenizer.tokenize(text), [features.BOS], [features.EOS])


def load_tokenizers(
    read: Callable[[str], bytes],
) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of both sides.

    Args:
      read: gives the bytes of `SOURCE_MODEL` and `TARGET_MODEL`.
    """
    return Tokenizer(read(SOURCE_MODEL)), Tokenizer(read(TARGET_MODEL))


def _framed(tokens: tf.RaggedTensor, before: list[int], after: list[int]) -> tf.RaggedTensor:
    rows = tokens.nrows()

    def column(ids: list[int]) -> tf.Tensor:
        return tf.tile(tf.constant([ids], tf.int64, shape=(1, len(ids))), [rows, 1])

    return tf.concat([column(before), tokens, column(after)], axis=1)
