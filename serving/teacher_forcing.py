"""What a model makes of a given target: its probability, and which tokens it would say too.

Shape suffixes: B batch, T target time, V target vocabulary.
"""

from __future__ import annotations

import tensorflow as tf

from ..models import features
from ..models.cross_entropy import plain_token_losses
from ..models.encoders import Encoded
from ..models.seq2seq import Seq2Seq
from .tokenizer import Tokenizer, target_ids


def force(
    model: Seq2Seq, tokenizer: Tokenizer, encoded: Encoded, reference_B: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Scores references: log P(y | x) = sum_t log P(y_t | y_<t, x), EOS among them.

    Args:
      model: the network.
      tokenizer: of its targets.
      encoded: the sources.
      reference_B: a target for each, text.

    Returns:
      The log-probability in nats, how many tokens that is, and of how many no other was
      more probable, each [B].
    """
    ids_BT = target_ids(tokenizer, reference_B).to_tensor(features.PAD)
    labels_BT = ids_BT[:, 1:]
    logits_BTV, _ = model.decoder(ids_BT[:, :-1], encoded, training=False)
    logits_BTV = tf.cast(logits_BTV, tf.float32)
    real_BT = labels_BT != features.PAD
    losses_BT = plain_token_losses(labels_BT, logits_BTV, smoothing=0.0)
    label_BT = tf.gather(logits_BTV, labels_BT, batch_dims=2)
    first_BT = label_BT >= tf.reduce_max(logits_BTV, axis=-1)
    return {
        features.LOG_PROB: -tf.reduce_sum(tf.where(real_BT, losses_BT, 0.0), axis=1),
        features.TARGET_LENGTH: tf.math.count_nonzero(real_BT, axis=1, dtype=tf.int32),
        features.CORRECT_TOKENS: tf.math.count_nonzero(real_BT & first_BT, axis=1, dtype=tf.int32),
    }
