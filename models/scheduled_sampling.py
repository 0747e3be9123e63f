"""Scheduled sampling: a decoder in training sees some of its own tokens.

Shape suffixes: B batch, T target time, V target vocabulary.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from . import features


@keras.saving.register_keras_serializable(package="seq2seq_tfx")
class ScheduledSampling(keras.layers.Layer):
    """Puts the model's own tokens in place of some of the reference's: Bengio et al. (2015).

    Their share rises in a line, the paper's linear decay of teacher forcing. The tokens
    are those that a first pass by teacher forcing finds likeliest (Mihaylova and Martins,
    2019; with one pass, Duckworth et al., 2019), so that every decoder trains over whole
    targets as before. No gradient goes through the choice.

    Args:
      share: of the tokens, at the end of the rise.
      steps: how many updates it takes.
    """

    def __init__(self, share: float, steps: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.share, self.steps = share, steps
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, target_ids_BT: Any, logits_BTV: Any, step: Any) -> Any:
        """Mixes what the decoder reads.

        Args:
          target_ids_BT: BOS and the reference, without its last token.
          logits_BTV: of the token after each of them, by teacher forcing.
          step: updates so far.

        Returns:
          Target ids [B, T]; BOS and padding stay.
        """
        given_BT = target_ids_BT[:, 1:]
        own_BT = ops.cast(ops.argmax(logits_BTV[:, :-1], axis=-1), given_BT.dtype)
        share = self.share * ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        drawn_BT = keras.random.uniform(ops.shape(given_BT), seed=self.seed_generator) < share
        # No token of an answer is padding, whatever an unlearned model thinks.
        possible_BT = (given_BT != features.PAD) & (own_BT != features.PAD)
        mixed_BT = ops.where(drawn_BT & possible_BT, own_BT, given_BT)
        return ops.concatenate([target_ids_BT[:, :1], mixed_BT], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share, "steps": self.steps}
