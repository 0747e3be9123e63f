"""What can go wrong with the steps of a training, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..models import features
from ..serving.tokenizer import Tokenizer
from .trainer import TrainingConfig


class NotFinite(Exception):
    """What a step computed is no number.

    Args:
      what: the loss, the gradient or an updated weight.
      epoch, step: where, both from 1.
      learning_rate: of that step.
      batch: what was learned from.
    """

    def __init__(self, what: str, epoch: int, step: int, learning_rate: float, batch: Any):
        super().__init__(f"the {what} is not finite at step {step} of epoch {epoch}")
        self.epoch, self.step = epoch, step
        self.learning_rate, self.batch = learning_rate, batch


class Diverged(Exception):
    """The model has become worse than one that guesses.

    Args:
      epoch, step: where, both from 1.
      loss: the mean of the epoch so far.
      guess: the loss of a model that takes every token for equally likely.
      learning_rate: of that step.
    """

    def __init__(self, epoch: int, step: int, loss: float, guess: float, learning_rate: float):
        super().__init__(
            f"the loss has grown to {loss:.3g} at step {step} of epoch {epoch}, where guessing "
            f"has {guess:.3g}"
        )
        self.learning_rate = learning_rate


def advice(error: NotFinite | Diverged, training: TrainingConfig) -> str:
    """What to change, and from what."""
    return (
        f"at learning rate {error.learning_rate:.3g}. Expected a loss that falls. Lower "
        f"training.learning_rate ({training.learning_rate:g}) or training.clip_norm "
        f"({training.clip_norm:g}), or raise training.warmup_steps ({training.warmup_steps})"
    )


def out_of_memory(training: TrainingConfig) -> str:
    """Which settings decide how much a step needs, the first to lower first."""
    size = f"training.batch_size ({training.batch_size}"
    if training.batch_tokens:
        size = f"training.batch_tokens ({training.batch_tokens:,}"
    return (
        f"a training step needs more memory than there is. Lower {size}; training.accumulate "
        f"makes up for it) or training.max_tokens ({training.max_tokens}), or choose a smaller "
        "model.size"
    )


def keep_batch(
    batch: Any, checkpoints: Path, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer
) -> Path:
    """Writes the pairs that ended a training beside its checkpoints; returns where."""
    inputs = batch[0]
    sources = source_tokenizer.detokenize(inputs[features.SOURCE_IDS]).numpy()
    targets = target_tokenizer.detokenize(inputs[features.TARGET_IDS]).numpy()
    place = checkpoints.with_name(f"{checkpoints.name}-not-finite.tsv")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"".join(b"%s\t%s\n" % pair for pair in zip(sources, targets, strict=True)))
    return place
