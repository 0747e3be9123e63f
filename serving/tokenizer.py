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
UNKNOWN = "\u2047"  # and what it does not know
WHITE_SPACE = r"[\s\pZ\x{200B}\x{FEFF}\x{2581}]+"  # what it reads as one: RE2 syntax


class Tokenizer(tf.Module):
    """Text to token ids and back, by a SentencePiece model.

    `tf.random.set_seed`, and with it `keras.utils.set_random_seed` and
    `keras.backend.clear_session`, takes away what the tokenizers of a process hold
    (not those of a model that was loaded), and they answer that a resource does not
    exist: seed first.

    Args:
      model: the serialized SentencePiece model, whose special ids are those of
        `features`.
    """

    def __init__(self, model: bytes, name: str = "tokenizer"):
        super().__init__(name=name)
        # The kernel names its resource after its node, and whatever is loaded
        # into one process shares resources by name: two tokenizers of one model,
        # or of two models, would silently be the same. So the name tells them apart.
        self.model = model
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

    def spelled(self, text: tf.Tensor, limit: int) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """The first tokens of strings [N] in two spellings, each [N, (tokens)].

        Args:
          text: UTF-8 or any other bytes.
          limit: how many tokens of each.

        Returns:
          The piece of each token, or of an unknown one the text that became it;
          and of every token that text, without the white space around it. Both
          are UTF-8 whatever the bytes were, and no token is empty.
        """
        ids, starts, ends = (x[:, :limit] for x in self._pieces.tokenize_with_offsets(text))
        # Byte by byte, for a copy of its whole text for each token would be large.
        split = tf.strings.bytes_split(text)
        before = tf.gather(split.row_starts(), ids.value_rowids())
        first, beyond = (before + tf.cast(x.values, before.dtype) for x in (starts, ends))
        places = tf.ragged.range(first, beyond)
        written = tf.strings.reduce_join(tf.gather(split.values, places), axis=-1)
        written = tf.strings.unicode_transcode(written, "UTF-8", "UTF-8")
        written = tf.strings.regex_replace(written, WHITE_SPACE, SPACE)
        # One character may become several, and the text belongs to one of them.
        unknown = ids.values == features.UNK
        pieces = tf.where(unknown, UNKNOWN, self._pieces.id_to_string(ids.values))
        inner = tf.strings.regex_replace(written, f"^{SPACE}|{SPACE}$", "")
        return (
            ids.with_values(tf.where(unknown & (written != ""), written, pieces)),
            ids.with_values(tf.where(inner != "", inner, pieces)),
        )

    def spell(self, ids: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
        """Maps int32 ids [..., L] to text [...] with `words` [..., L] in place of UNK."""
        # Where spaces are no pieces but every piece begins with one, so does UNK.
        first = self._pieces.id_to_string(tf.constant(len(features.SPECIAL_TOKENS)))
        lone = self._pieces.string_to_id(tf.constant(SPACE)) != features.UNK
        whole = tf.logical_and(~lone, tf.strings.regex_full_match(first, f"{SPACE}.+"))
        words = tf.strings.join([tf.where(whole, SPACE, ""), words])
        pieces = tf.where(ids == features.EOS, "", self.pieces(ids))
        joined = tf.strings.reduce_join(tf.where(ids == features.UNK, words, pieces), axis=-1)
        return tf.strings.strip(tf.strings.regex_replace(joined, SPACE, " "))


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
    """Puts ids before and after each row.

    `tf.concat` of ragged tensors does the same by more than twice as many operations.
    """
    splits, more = tokens.row_splits, len(before) + len(after)
    begins = splits + more * tf.range(tf.size(splits, tf.int64))
    number = tf.range(tf.size(tokens.values, tf.int64))
    row = tf.searchsorted(splits[1:], number, side="right", out_type=tf.int64)
    places = [number + len(before) + more * row]
    places += [begins[:-1] + place for place in range(len(before))]
    places += [begins[1:] - place for place in range(len(after), 0, -1)]
    fills = [tf.fill(tf.shape(splits[1:]), tf.constant(i, tf.int64)) for i in before + after]
    stitched = tf.dynamic_stitch(
        [tf.cast(place, tf.int32) for place in places], [tokens.values, *fills]
    )
    return tf.RaggedTensor.from_row_splits(stitched, begins, validate=False)
