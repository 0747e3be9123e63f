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
from tensorflow.core.framework import summary_pb2

from . import interruption, progress
from .checkpoints import Checkpoints
from .training_data import Corpus

Data = Callable[[int], tf.data.Dataset]
CURVE_STEPS = 50  # of a training, from one point of its curves to the next

# As `tf.summary.scalar` marks them, which wants TensorBoard installed to write for it.
_SCALAR = summary_pb2.SummaryMetadata(
    plugin_data={"plugin_name": "scalars"}, data_class=summary_pb2.DATA_CLASS_SCALAR
)


class Plan(NamedTuple):
    """What a fit goes by, beside model and data."""

    epochs: int
    patience: int  # epochs without a better validation loss before it ends
    checkpoint_seconds: float


class NotFinite(Exception):
    """The loss is no number any more.

    Args:
      epoch, step: where, both from 1.
      learning_rate: of that step.
      batch: what was learned from.
    """

    def __init__(self, epoch: int, step: int, learning_rate: float, batch: Any):
        super().__init__(f"the loss is not finite at step {step} of epoch {epoch}")
        self.epoch, self.step = epoch, step
        self.learning_rate, self.batch = learning_rate, batch


class Fit:
    """A fit of a compiled model.

    Args:
      model: built and compiled.
      data: the batches of an epoch, counted from 0; always the same for the same one.
      validation: batches; their loss decides which weights are the best.
      corpus: what an epoch has.
      plan: when it ends.
      checkpoints: where its state is kept.
      curves: a folder for what TensorBoard shows, made if there is anything to show.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Data,
        validation: tf.data.Dataset,
        corpus: Corpus,
        plan: Plan,
        checkpoints: Checkpoints,
        curves: str,
    ):
        self._model, self._data, self._validation = model, data, validation
        self._plan, self._checkpoints = plan, checkpoints
        self._steps_an_epoch = corpus.batches
        self._reporter = _Reporter(corpus, plan.epochs)
        self._curves = tf.summary.create_file_writer(curves)
        self._saved = time.monotonic()
        self.epoch = 0  # that is under way, or next
        self.step = 0  # of this epoch, done
        self._steps = 0  # of all epochs, done
        self._logs: dict[str, float] = {}  # of the training steps of this epoch
        self.history: list[dict[str, float]] = []  # of the epochs that are through
        self._best: list[np.ndarray] = []  # weights
        self._best_loss = math.inf
        self._waited = 0  # epochs since

    def run(self) -> list[dict[str, float]]:
        """Goes on from the newest checkpoint to the end; the model has the best weights then.

        Returns:
          What each epoch measured; of one that was interrupted, training loss and
          accuracy are those of the steps since.

        Raises:
          Interrupted: the process was asked to stop; a checkpoint has been written.
          NotFinite: the loss is no number.
        """
        self._model.optimizer.build(self._model.trainable_variables)
        self._restore()
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
        if self.step < self._steps_an_epoch:
            trained = self._model.fit(data, verbose=0, callbacks=[_AfterSteps(self)])
            self._logs = {name: float(values[0]) for name, values in trained.history.items()}
        self._reporter.trained()
        measured = self._model.evaluate(
            self._validation, verbose=0, return_dict=True, callbacks=[_WhileEvaluating(self)]
        )
        logs = {**self._logs, **{f"val_{name}": float(value) for name, value in measured.items()}}
        self.history.append(logs)
        self._waited += 1
        # The first counts even where it is no number, so that there always is a best.
        if logs["val_loss"] < self._best_loss or not self._best:
            self._best, self._best_loss, self._waited = (
                self._model.get_weights(),
                logs["val_loss"],
                0,
            )
        self._reporter.tell(self.step, logs["loss"], logs["val_loss"])
        self._draw({f"validation/{name}": value for name, value in measured.items()})
        self.epoch, self.step, self._logs = self.epoch + 1, 0, {}
        self._save()

    def after_step(self, logs: dict[str, Any]) -> None:
        """A training step is done: looks at its loss, and saves when it is time to."""
        self.step += 1
        self._steps += 1
        self._logs = {name: float(value) for name, value in logs.items()}
        if not math.isfinite(self._logs["loss"]):
            raise self._not_finite()
        self._reporter.maybe_tell(self.step, self._logs["loss"])
        if self._steps % CURVE_STEPS == 0:
            self._draw(
                {
                    **{f"train/{name}": value for name, value in self._logs.items()},
                    "train/learning_rate": self._learning_rate(),
                    "train/target_tokens_per_second": self._reporter.rate(self.step),
                }
            )
        self.stop_if_asked()
        if time.monotonic() - self._saved >= self._plan.checkpoint_seconds:
            self._save()

    def stop_if_asked(self) -> None:
        """Saves and raises `Interrupted` where the process was asked to stop."""
        if number := interruption.asked():
            kept = self._save()
            where = f"at step {self.step} of epoch {self.epoch + 1}"
            raise interruption.Interrupted(
                f"{signal.Signals(number).name} {where}: "
                + ("the next run goes on from there" if kept else "no checkpoint could be written")
            )

    def _variables(self) -> list[keras.Variable]:
        """All that a step reads and changes: weights, seeds of dropout, optimizer."""
        return [*self._model.variables, *self._model.optimizer.variables]

    def _save(self) -> bool:
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "steps": self._steps,
            "logs": self._logs,
            "history": self.history,
            "best_loss": self._best_loss,
            "waited": self._waited,
        }
        arrays = [keras.ops.convert_to_numpy(variable) for variable in self._variables()]
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
        self._best = checkpoint.arrays[len(variables) :]
        self.epoch, self.step, self._steps = state["epoch"], state["step"], state["steps"]
        self._logs, self.history = state["logs"], state["history"]
        self._best_loss, self._waited = state["best_loss"], state["waited"]
        where = f"step {self.step} of epoch {self.epoch + 1}"
        logging.info("going on from %s", where)
        progress.note(f"going on from {where}")

    def _not_finite(self) -> NotFinite:
        (batch,) = self._data(self.epoch).skip(self.step - 1).take(1)
        return NotFinite(self.epoch + 1, self.step, self._learning_rate(), batch)

    def _learning_rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self._model.optimizer.learning_rate))

    def _draw(self, points: dict[str, float]) -> None:
        """Adds a point to each curve, where the training is now."""
        with self._curves.as_default(self._steps):
            for name, value in points.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=_SCALAR)


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


class _Reporter:
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
