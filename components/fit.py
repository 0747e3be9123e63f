"""The fit of a model: epoch by epoch, kept on disk, stopped and taken up at any step.

A fit that is interrupted and taken up goes through the same weights as one that is
not: a checkpoint holds weights, optimizer, seeds and the place in the data, whose
order follows from the seed and the epoch alone.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ..models.seq2seq import Seq2Seq
from . import interruption, progress
from .averaging import Averaging
from .checkpoints import Checkpoints
from .curves import Curves
from .decoded_validation import DecodedValidation
from .fit_reporter import Reporter
from .gradient_norm import gradient_norm
from .replicas import Replicas
from .shown_samples import ShownSamples
from .training_data import Corpus
from .training_faults import Diverged, NotFinite

Data = Callable[[int], tf.data.Dataset]
CURVE_STEPS = 50  # of a training, from one point of its curves to the next
WORSE_THAN_GUESSING = 2.0  # times the loss of a guess is no loss of a model that learns


class Plan(NamedTuple):
    """What a fit goes by, beside model and data."""

    epochs: int
    patience: int  # epochs without a better validation before it ends
    checkpoint_seconds: float
    averaged_epochs: int = 1
    plateau_factor: float | None = None  # of the learning rate, after an epoch no better


class Fit:
    """A fit of a compiled model.

    Args:
      model: built and compiled.
      data: the batches of an epoch, counted from 0; always the same for the same one.
      validation: batches; their loss decides which weights are the best, unless
        `decoded` does.
      corpus: what an epoch has.
      plan: when it ends.
      checkpoints: where its state is kept.
      curves: what TensorBoard shows.
      decoded: a figure of what the model answers, to decide in place of the loss.
      samples: answers that are shown after each epoch.
      replicas: that train together; None fits with Keras in this process.
      identity: a number that all replicas must have alike.
    """

    def __init__(
        self,
        model: Seq2Seq,
        data: Data,
        validation: tf.data.Dataset,
        corpus: Corpus,
        plan: Plan,
        checkpoints: Checkpoints,
        curves: Curves,
        decoded: DecodedValidation | None = None,
        samples: ShownSamples | None = None,
        replicas: Replicas | None = None,
        identity: int = 0,
    ):
        self._model, self._data, self._validation = model, data, validation
        self._plan, self._checkpoints = plan, checkpoints
        self._steps_an_epoch = corpus.batches
        self._reporter = Reporter(corpus, plan.epochs)
        self._curves, self._decoded, self._samples = curves, decoded, samples
        self._replicas, self._identity = replicas, identity
        self._averaging = Averaging(model, plan.averaged_epochs)
        self._saved = time.monotonic()
        self.epoch = 0  # that is under way, or next
        self.step = 0  # of this epoch, done
        self._steps = 0  # of all epochs, done
        self._logs: dict[str, float] = {}  # of the training steps of this epoch
        self.history: list[dict[str, float]] = []  # of the epochs that are through
        self._best: list[np.ndarray] = []  # weights
        self._best_cost = math.inf  # its loss, or what is decoded, less being better
        self._waited = 0  # epochs since

    def run(self) -> list[dict[str, float]]:
        """Goes on from the newest checkpoint to the end; the model has the best weights then.

        Returns:
          What each epoch measured; of one that was interrupted, training loss and
          accuracy are those of the steps since.

        Raises:
          Interrupted: the process was asked to stop; a checkpoint has been written.
          NotFinite: the loss, a gradient or a weight is no number.
          Diverged: the loss is beyond that of guessing.
        """
        self._model.optimizer.build(self._model.trainable_variables)
        self._restore()
        if self._replicas:
            self._replicas.begin(self._identity, self._steps)
        with interruption.saving():
            while self.epoch < self._plan.epochs and self._waited < self._plan.patience:
                self._run_epoch()
        self._curves.flush()
        if self._best:
            self._model.set_weights(self._best)
        return self.history

    def _run_epoch(self) -> None:
        self._reporter.begin(self.epoch, self.step)
        # Of data without a known end Keras takes a step too many, in which the weights
        # stay, but the optimizer's count and the seeds of dropout go on.
        known = tf.data.experimental.assert_cardinality(self._steps_an_epoch)
        data = self._data(self.epoch).apply(known).skip(self.step)
        if self.step < self._steps_an_epoch and self._replicas:
            self._logs = self._replicas.fit(self._replicas.shards(data), self.after_step)
        elif self.step < self._steps_an_epoch:
            trained = self._model.fit(data, verbose=0, callbacks=[_AfterSteps(self)])
            self._logs = {name: float(values[0]) for name, values in trained.history.items()}
        self._reporter.trained()
        self._compare_with_guessing()
        self._arrays()  # what is no number is neither validated nor kept as the best
        with self._averaging.averaged() as weights:
            measured = self._validated()
            if self._samples:
                self._samples.show(self._steps)
        logs = {**self._logs, **{f"val_{name}": value for name, value in measured.items()}}
        self.history.append(logs)
        self._waited += 1
        cost = self._cost(measured)
        # The first counts even where it is no number, so that there always is a best.
        if cost < self._best_cost or not self._best:
            self._best, self._waited = weights, 0
            self._best_cost = math.inf if math.isnan(cost) else cost
        elif self._plan.plateau_factor:
            rate = self._model.optimizer.learning_rate
            rate.assign(rate * self._plan.plateau_factor)
        self._reporter.tell(self.step, logs["loss"], logs["val_loss"])
        points = {f"validation/{name}": value for name, value in measured.items()}
        self._curves.points(self._steps, points)
        self.epoch, self.step, self._logs = self.epoch + 1, 0, {}
        self._save()

    def _validated(self) -> dict[str, float]:
        """What the weights that are in the model now do on the validation split."""
        measured = self._model.evaluate(
            self._validation, verbose=0, return_dict=True, callbacks=[_WhileEvaluating(self)]
        )
        figures = {name: float(value) for name, value in measured.items()}
        if self._decoded:
            figures[self._decoded.metric] = self._decoded()
            self.stop_if_asked()
        if self._replicas:  # what is decided by them must be decided alike
            agreed = self._replicas.of_the_chief(list(figures.values()))
            figures = dict(zip(figures, agreed, strict=True))
        return figures

    def _cost(self, measured: dict[str, float]) -> float:
        """What is to be as low as possible."""
        if not self._decoded:
            return measured["loss"]
        return self._decoded.loss(measured[self._decoded.metric])

    def after_step(self, logs: dict[str, Any]) -> None:
        """A training step is done: looks at its loss and gradient, and saves when it is time to."""
        self.step += 1
        self._steps += 1
        self._logs = {name: float(value) for name, value in logs.items()}
        if not math.isfinite(self._logs["loss"]):
            raise self._not_finite("loss")
        # It has ruined the weights, while the loss was still a number. Under loss scaling
        # the norm is that of the last update, for such a step is skipped.
        if not math.isfinite(gradient_norm(self._model.optimizer) or 0.0):
            raise self._not_finite("gradient")
        if self._steps % CURVE_STEPS == 0 and self.step >= CURVE_STEPS:
            self._compare_with_guessing()
        self._reporter.maybe_tell(self.step, self._logs["loss"])
        if self._steps % CURVE_STEPS == 0:
            self._curves.points(self._steps, self._points())
        self.stop_if_asked()
        if time.monotonic() - self._saved >= self._plan.checkpoint_seconds:
            self._save()

    def stop_if_asked(self) -> None:
        """Saves and raises `Interrupted` where the process was asked to stop."""
        asked = self._replicas.asked() if self._replicas else interruption.asked()
        if number := asked:
            self._averaging.put_back()
            kept = self._save()
            where = f"at step {self.step} of epoch {self.epoch + 1}"
            raise interruption.Interrupted(
                f"{signal.Signals(number).name} {where}: "
                + ("the next run goes on from there" if kept else "no checkpoint could be written")
            )

    def _variables(self) -> list[keras.Variable]:
        """All that a step reads and changes: weights, seeds of dropout, optimizer."""
        return [*self._model.variables, *self._model.optimizer.variables]

    def _arrays(self) -> list[np.ndarray]:
        """The values of `_variables`; raises `NotFinite` where one is no number."""
        arrays = [keras.ops.convert_to_numpy(variable) for variable in self._variables()]
        if not all(np.isfinite(array).all() for array in arrays):
            raise self._not_finite("updated weight")
        return arrays

    def _save(self) -> bool:
        if self._replicas and not self._replicas.is_chief:
            return True  # the chief has done it
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "steps": self._steps,
            "logs": self._logs,
            "history": self.history,
            "best_cost": self._best_cost,
            "waited": self._waited,
            "past": len(self._averaging.past),
        }
        arrays = self._arrays()
        for weights in self._averaging.past:
            arrays += weights
        kept = self._checkpoints.save(self._steps, state, [*arrays, *self._best])
        self._saved = time.monotonic()
        return kept

    def _restore(self) -> None:
        checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            return
        state, variables = checkpoint.state, self._variables()
        for variable, array in zip(variables, checkpoint.arrays, strict=False):
            variable.assign(array)
        others = checkpoint.arrays[len(variables) :]
        size = len(self._model.weights)
        parts = [others[start : start + size] for start in range(0, len(others), size)]
        self._averaging.past = parts[: state["past"]]
        self._best = next(iter(parts[state["past"] :]), [])
        self.epoch, self.step, self._steps = state["epoch"], state["step"], state["steps"]
        self._logs, self.history = state["logs"], state["history"]
        self._best_cost, self._waited = state["best_cost"], state["waited"]
        where = f"step {self.step} of epoch {self.epoch + 1}"
        logging.info("going on from %s", where)
        progress.note(f"going on from {where}")

    def _compare_with_guessing(self) -> None:
        """Raises `Diverged` where this epoch so far is far worse than no knowledge at all."""
        guess = math.log(self._model.target_vocabulary_size)
        if self._logs["loss"] > WORSE_THAN_GUESSING * guess:
            raise Diverged(
                self.epoch + 1, self.step, self._logs["loss"], guess, self._learning_rate()
            )

    def _not_finite(self, what: str) -> NotFinite:
        # Before an epoch's first step it is that step's.
        (batch,) = self._data(self.epoch).skip(max(self.step - 1, 0)).take(1)
        return NotFinite(what, self.epoch + 1, self.step, self._learning_rate(), batch)

    def _learning_rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self._model.optimizer.learning_rate))

    def _points(self) -> dict[str, float]:
        """Of the curves of training, where it is now."""
        points = {f"train/{name}": value for name, value in self._logs.items()}
        points["train/learning_rate"] = self._learning_rate()
        points["train/target_tokens_per_second"] = self._reporter.rate(self.step)
        if (norm := gradient_norm(self._model.optimizer)) is not None:
            points["train/gradient_norm"] = norm
        return points


class _AfterSteps(keras.callbacks.Callback):
    def __init__(self, fit: Fit):
        super().__init__()
        self._fit = fit

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._fit.after_step(logs or {})


class _WhileEvaluating(keras.callbacks.Callback):
    def __init__(self, fit: Fit):
        super().__init__()
        self._fit = fit

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._fit.stop_if_asked()
