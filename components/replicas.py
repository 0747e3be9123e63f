"""One batch, learned from by several devices or processes together.

Each replica has some rows of every batch and the whole model. The gradients of its
tokens' share of the batch's loss are added to those of the others before anything is
clipped, accumulated or applied: so the weights go where those of one process go, but
for the order in which numbers are added.

The weights are plain variables, the same in every process, and not those of a
`tf.distribute` scope, which Keras's optimizers reduce after they have clipped.

Shape suffixes: B batch, T target time, N target tokens of a shard.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..models import features
from ..models.losses import token_hits
from ..models.seq2seq import Seq2Seq
from . import interruption
from .errors import PipelineError
from .training_data import with_positions

AllReduce = Callable[[Any], Any]


class Replicas:
    """Trains a compiled model in several places.

    Args:
      model: built and compiled; its optimizer's variables, too, are the same everywhere.
      devices: of this process, by name; [''] leaves the choice to TensorFlow.
      index: of this process, 0 for the chief.
      processes: how many there are.
      all_reduce: adds a vector to those of the other processes; None where there are none.
    """

    def __init__(
        self,
        model: Seq2Seq,
        devices: list[str],
        index: int = 0,
        processes: int = 1,
        all_reduce: AllReduce | None = None,
    ):
        self._model, self._devices = model, devices
        self.index, self._processes = index, processes
        self._all_reduce = all_reduce or (lambda vector: vector)
        self._loss, self._accuracy = keras.metrics.Mean(), keras.metrics.Mean()
        self._asked: int | None = None
        self._function: Any = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is kept."""
        return self.index == 0

    def asked(self) -> int | None:
        """The signal that asked any of the processes to stop, known to all at the same step."""
        return self._asked

    def begin(self, *numbers: float) -> None:
        """Waits for all processes, sees that they begin alike, and gives each its own dropout.

        Raises:
          PipelineError: they do not have the same inputs, settings, code or checkpoint.
        """
        mine = [float(np.float32(number)) for number in numbers]
        if (chiefs := self.of_the_chief(mine)) != mine:
            raise PipelineError(
                f"worker {self.index}: expected the inputs, code and checkpoint of the chief "
                f"({chiefs}), found others ({mine}). All workers need the same version of "
                "seq2seq-tfx and see the same output folder"
            )
        if self.index:
            for state in seed_states(self._model):
                seed, count = keras.ops.convert_to_numpy(state).tolist()
                state.assign([(seed + 7919 * self.index) % 2**32, count])

    def of_the_chief(self, numbers: list[float]) -> list[float]:
        """The chief's numbers, given to all."""
        mine = tf.constant(numbers, tf.float32) * float(self.is_chief)
        return [float(number) for number in tf.function(self._all_reduce, autograph=False)(mine)]

    def shards(self, data: tf.data.Dataset) -> tf.data.Dataset:
        """The shards of whole batches that belong to this process's devices.

        Which rows they are follows from the batch alone.

        Args:
          data: batches, as `training_data.batches` gives them.

        Returns:
          For each device what `shard_of` makes of a batch.
        """
        count = self._processes * len(self._devices)
        first = self.index * len(self._devices)

        def cut(inputs: dict[str, Any], labels: Any, factors: Any = None) -> tuple[Any, ...]:
            shards = range(first, first + len(self._devices))
            return tuple(shard_of(inputs, labels, i, count, factors) for i in shards)

        return data.map(cut).prefetch(2)

    def fit(
        self, shards: tf.data.Dataset, after_step: Callable[[dict[str, Any]], None]
    ) -> dict[str, float]:
        """Trains on each batch once, in place of Keras's `fit`.

        Args:
          shards: as this class's method gives them.
          after_step: is given the mean loss and accuracy so far, of all processes.
        """
        self._loss.reset_state()
        self._accuracy.reset_state()
        logs: dict[str, float] = {}
        if self._function is None:  # traced once, for batches of all shapes
            signature = [shards.element_spec, tf.TensorSpec([], tf.float32)]
            self._function = tf.function(self._step, signature, autograph=False)
        for batch in shards:
            asked = tf.constant(float(interruption.asked() is not None))
            loss, hits, tokens, stops = self._function(batch, asked).numpy()
            self._asked = signal.SIGTERM if stops else None
            self._loss.update_state(loss, sample_weight=tokens)
            self._accuracy.update_state(hits / max(tokens, 1.0), sample_weight=tokens)
            logs = {
                "loss": float(self._loss.result()),
                "token_accuracy": float(self._accuracy.result()),
            }
            after_step(logs)
        return logs

    def _step(self, shards: tuple[Any, ...], asked: Any) -> Any:
        """Learns from a batch; returns loss, hits, tokens and stops of all shards."""
        weights = self._model.trainable_weights
        parts = []
        for device, shard in zip(self._devices, shards, strict=True):
            with tf.device(device):
                parts.append(self._gradients(*shard))
        vector = self._all_reduce(tf.concat([tf.add_n(parts), [asked]], 0))
        sizes = [weight.shape.num_elements() for weight in weights]
        *flat, figures = tf.split(vector, [*sizes, 4])
        gradients = [tf.reshape(g, w.shape) for g, w in zip(flat, weights, strict=True)]
        self._model.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return figures

    def _gradients(self, inputs: Any, labels_N: Any, share_N: Any) -> Any:
        """The gradients of a shard's share of the loss, and its loss, hits and tokens."""
        model = self._model
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            # Keras's own: the model's also adds to a mean, in which a shard is no batch.
            loss = keras.Model.compute_loss(model, inputs, labels_N, logits, share_N)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(
            scaled, model.trainable_weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        hit_N, real_N = token_hits(labels_N, logits)
        real_N = tf.cast(real_N, tf.float32)
        tokens = tf.reduce_sum(real_N)
        figures = [loss, tf.reduce_sum(tf.cast(hit_N, tf.float32) * real_N), tokens]
        flat = [tf.reshape(tf.cast(tf.convert_to_tensor(g), tf.float32), [-1]) for g in gradients]
        return tf.concat([*flat, tf.stack(figures)], 0)


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """The states of a model's seed generators, each its seed and how often it was asked.

    They are all of Keras's `variables` that are no weights; their type is the backend's.
    """
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def shard_of(
    inputs: dict[str, Any], labels_N: Any, index: int, count: int, factors_N: Any = None
) -> tuple[dict[str, Any], Any, Any]:
    """Every so many rows of a batch.

    A batch of fewer rows than shards leaves some without any: they have its first row,
    whose tokens count for nothing, for no network runs over no row.

    Args:
      inputs: of a batch, as `training_data.teacher_forcing` makes it.
      labels_N: likewise.
      index: of the shard.
      count: of all shards.
      factors_N: likewise, where pairs are weighted.

    Returns:
      Inputs, labels [N], and the weight [N] that makes a mean over the shard's tokens
      its share of the mean over the batch's.
    """
    target_BT = inputs[features.TARGET_IDS]

    def placed(values_N: Any) -> Any:
        # Positions that only fill up are 0 and have 0 there: added, it changes nothing.
        places = inputs[features.TARGET_POSITIONS][:, tf.newaxis]
        flat = tf.scatter_nd(places, values_N, [tf.size(target_BT)])
        return tf.reshape(flat, tf.shape(target_BT))

    labels_BT = placed(labels_N)
    empty = index >= tf.shape(target_BT)[0]
    rows = tf.where(empty, [0], [index])[0]
    mine = {
        features.SOURCE_IDS: inputs[features.SOURCE_IDS][rows::count],
        features.TARGET_IDS: target_BT[rows::count],
    }
    factors_BT = None if factors_N is None else placed(factors_N)[rows::count]
    mine, labels, *factors = with_positions(mine, labels_BT[rows::count], factors_BT)
    labels = tf.where(empty, tf.zeros_like(labels), labels)
    all_tokens = tf.math.count_nonzero(labels_BT, dtype=tf.float32)
    share = tf.math.count_nonzero(labels, dtype=tf.float32) / tf.maximum(all_tokens, 1.0)
    return mine, labels, share * factors[0] if factors else tf.fill(tf.shape(labels), share)
