"""How far a fit is, told as it goes."""

from __future__ import annotations

import time

from . import progress
from .training_data import Corpus


class Reporter:
    """Tells `progress` how far the fit is, a few times a second at most."""

    INTERVAL = 0.5  # seconds

    def __init__(self, corpus: Corpus, epochs: int):
        self._corpus, self._epochs = corpus, epochs
        self._tokens_per_step = corpus.target_tokens / max(corpus.batches, 1)
        self._told = 0.0

    def begin(self, epoch: int, step: int) -> None:
        self._epoch, self._first_step = epoch + 1, step
        self._began = time.monotonic()
        self._ended: float | None = None

    def trained(self) -> None:
        self._ended = time.monotonic()

    def maybe_tell(self, step: int, loss: float) -> None:
        if time.monotonic() - self._told >= self.INTERVAL:
            self._told = time.monotonic()
            self.tell(step, loss, None)

    def rate(self, step: int) -> float:
        """Target tokens a second, on the average of this epoch."""
        seconds = (self._ended or time.monotonic()) - self._began
        return (step - self._first_step) * self._tokens_per_step / max(seconds, 1e-9)

    def tell(self, step: int, loss: float, validation_loss: float | None) -> None:
        progress.report(
            progress.TrainingProgress(
                self._epoch,
                self._epochs,
                step,
                self._corpus.batches,
                self.rate(step),
                loss,
                validation_loss,
            )
        )
