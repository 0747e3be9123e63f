"""Averages of the weights that a training went through, which often do better than the last.

Their mean over the last epochs is checkpoint averaging (Vaswani et al., 2017, section 6.1),
and the exponential one is that of Polyak and Juditsky (1992) with a short memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np


class TrainsWithoutAverages(keras.optimizers.Optimizer):
    """Mixed into an optimizer: its exponential average replaces weights when asked, and only then.

    Keras's `fit` has them replaced at its end. Here that is the end of an epoch, and the
    next would go on from the average.
    """

    def finalize_variable_values(self, var_list: list[Any]) -> None:
        """Leaves the weights as they are."""

    def put_averages(self, var_list: list[Any]) -> None:
        """Puts the average of each weight in its place."""
        super().finalize_variable_values(var_list)


class Averaging:
    """Puts averaged weights into a model while it is validated.

    Args:
      model: built and compiled. Where its optimizer, `TrainsWithoutAverages`, keeps an
        exponential average (`use_ema`), that is what an epoch is represented by.
      epochs: of so many, the newest among them, the mean is taken.
    """

    def __init__(self, model: keras.Model, epochs: int = 1):
        self._model, self._epochs = model, epochs
        self.past: list[list[np.ndarray]] = []  # of the epochs before, the oldest first
        self._own: list[np.ndarray] | None = None

    @contextmanager
    def averaged(self) -> Iterator[list[np.ndarray]]:
        """The model has the averaged weights, which are given, and its own afterwards."""
        self._own = self._model.get_weights()
        optimizer = self._model.optimizer
        if optimizer.use_ema:
            optimizer.put_averages(self._model.trainable_variables)
        newest = self._model.get_weights()
        if self.past:
            means = [np.mean(same, axis=0) for same in zip(*self.past, newest, strict=True)]
            self._model.set_weights(means)
        try:
            yield self._model.get_weights()
        finally:
            self.put_back()
        if self._epochs > 1:
            self.past = [*self.past, newest][1 - self._epochs :]

    def put_back(self) -> None:
        """Gives the model its own weights again, wherever a validation was."""
        if self._own is not None:
            self._model.set_weights(self._own)
            self._own = None
