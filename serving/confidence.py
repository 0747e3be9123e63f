"""How sure a model may be of an answer, told without references, by where it looked.

Shape suffixes: B batch, S source time.
"""

from __future__ import annotations

import tensorflow as tf

from ..models import features
from ..models.attended import Attended

IGNORED = 0.2  # attention that a source token gets from a whole answer that ignores it


def of_attention(
    attended: Attended, written_B: tf.Tensor, read_B: tf.Tensor
) -> dict[str, tf.Tensor]:
    """What the attention of an answer tells of it; larger is more doubtful.

    With a_ts the attention of target token t to source token s, EOS included on both
    sides, T and S their numbers and cov_s = sum_t a_ts:

    - coverage deviation: 1/S sum_s log(1 + (1 - cov_s)^2), the CDP of Rikters and Fishel
      (2017), equation 2, without its sign: some source was left out, or read again;
    - attention entropy: 1/T sum_t H(a_t.), their AP_out in nats: it looked nowhere in
      particular;
    - source entropy: 1/S sum_s H(a_.s / cov_s), their AP_in in nats: a source token was
      looked at from everywhere;
    - ignored source: the share of what could have been read and was not. A source token
      other than EOS is ignored if all target tokens but EOS give it less than 0.2
      together (Berard et al., 2019; as a detector, Guerreiro et al., 2023). As many can be
      read as the shorter side has tokens, EOS apart: a short answer cannot read a long
      source.

    Args:
      attended: of each answer, [B, S] each; what is beyond the lengths does not count.
      written_B: target tokens, EOS included. int32
      read_B: source tokens, EOS included. int32

    Returns:
      Each of the four [B], by their names in `features`.
    """
    longest_S = tf.shape(attended.all_BNS)[1]
    real_BS, word_BS = (tf.sequence_mask(n, longest_S) for n in (read_B, read_B - 1))
    covered_BS, entropy_BS = (
        tf.where(real_BS, x, 0.0) for x in (attended.all_BNS, attended.entropy_BNS)
    )
    deviation_BS = tf.where(real_BS, tf.math.log1p(tf.square(1.0 - covered_BS)), 0.0)
    # H(a_.s / c) = log c - 1/c sum_t a log a
    known_BS = tf.maximum(covered_BS, 1e-30)
    looked_BS = tf.math.log(known_BS) + entropy_BS / known_BS
    looked_BS = tf.where(covered_BS > 0, tf.maximum(looked_BS, 0.0), 0.0)

    # The step that ends an answer looks at the end, of no word.
    enough_BS = word_BS & (attended.words_BNS >= IGNORED)
    attended_B = tf.math.count_nonzero(enough_BS, axis=1, dtype=tf.int32)
    possible_B = tf.maximum(tf.minimum(written_B, read_B) - 1, 0)
    unread_B = tf.maximum(possible_B - attended_B, 0) / tf.maximum(possible_B, 1)

    read_B, written_B = (tf.cast(tf.maximum(x, 1), tf.float32) for x in (read_B, written_B))
    return {
        features.COVERAGE_DEVIATION: tf.reduce_sum(deviation_BS, axis=1) / read_B,
        features.ATTENTION_ENTROPY: tf.reduce_sum(entropy_BS, axis=1) / written_B,
        features.SOURCE_ENTROPY: tf.reduce_sum(looked_BS, axis=1) / read_B,
        features.IGNORED_SOURCE: tf.cast(unread_B, tf.float32),
    }
