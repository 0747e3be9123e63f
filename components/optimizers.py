"""The optimizer of a training, and how its learning rate goes.

Keras's optimizers throughout, Adam in one pass over the weights; only the schedule of
the Transformer's paper is ours.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .fused_adam import FusedAdam
from .gradient_norm import MeasuredSGD
from .trainer import TrainingConfig


@keras.saving.register_keras_serializable("seq2seq_tfx")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, then a fall with the inverse square root of the step.

    rate(n) = peak min(n / warm, sqrt(warm / n)) for the n-th step, from 1: equation 3
    of Vaswani et al. (2017), whose peak is (d_model warm)^-0.5.

    Args:
      peak: the highest rate.
      warm: the step that has it; at least 1.
    """

    def __init__(self, peak: float, warm: int):
        super().__init__()
        self.peak, self.warm = peak, warm

    def __call__(self, step: Any) -> Any:
        """The rate of the step after so many."""
        nth = ops.cast(step, "float32") + 1.0
        return self.peak * ops.minimum(nth / self.warm, ops.sqrt(self.warm / nth))

    def get_config(self) -> dict[str, Any]:
        """Keras's way to make another."""
        return {"peak": self.peak, "warm": self.warm}


def optimizer_of(training: TrainingConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """What the `training` section asks for.

    Args:
      training: the section.
      steps_per_epoch: batches; a schedule over all epochs depends on it.
    """
    settings = {
        "learning_rate": _rate(training, training.epochs * steps_per_epoch),
        "global_clipnorm": training.clip_norm,
        "weight_decay": training.weight_decay or None,
        "gradient_accumulation_steps": training.accumulate if training.accumulate > 1 else None,
        "use_ema": training.ema is not None,
        "ema_momentum": training.ema or 0.99,
    }
    if training.optimizer == "sgd":
        return MeasuredSGD(momentum=training.momentum, **settings)
    return FusedAdam(lazy_embeddings=training.lazy_embeddings, **settings)


def _rate(training: TrainingConfig, steps: int) -> Any:
    """A number, which `plateau` lowers later, or a schedule over so many steps."""
    peak = training.learning_rate
    if training.schedule == "inverse_sqrt":
        return InverseSquareRoot(peak, max(training.warmup_steps, 1))
    if training.schedule == "cosine":
        warmup = min(training.warmup_steps, steps // 2)
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else peak,
            decay_steps=steps - warmup,
            warmup_target=peak if warmup else None,
            warmup_steps=warmup,
        )
    return peak
