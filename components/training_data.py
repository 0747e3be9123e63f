"""From files of token ids to the batches that a model fits.

Shape suffixes: B batch, S source time, T target time, N target tokens of a batch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..models import features

SHUFFLE_BUFFER = 100_000  # serialized examples
FILES_AT_ONCE = 16  # whose examples are mixed before they come into the buffer
# Batches are cut from a window sorted by length, so that little of one is padding.
WINDOW = 64  # batches
# A pair of less weight is never trained on. Smaller numbers are 0 to some operations, to
# others not, and an epoch's number of batches must be the same for all.
LEAST_WEIGHT = float(np.finfo(np.float32).tiny)

_SPEC = {
    features.SOURCE_IDS: tf.io.RaggedFeature(tf.int64),
    features.TARGET_IDS: tf.io.RaggedFeature(tf.int64),
}
_WEIGHTS = {features.WEIGHT: tf.io.FixedLenFeature([1], tf.float32)}

Parse = Callable[[Any], dict[str, Any]]  # of serialized examples


class Corpus(NamedTuple):
    """What is known of a split before the first step."""

    examples: int  # that are used
    too_long: int  # that are left out, for one side exceeds the limit
    target_tokens: int  # of the used ones, EOS included
    batches: int  # an epoch
    of_no_weight: int = 0  # that are short enough, and left out for they count for nothing


def survey(
    files: list[str],
    batch_size: int,
    max_tokens: int,
    batch_tokens: int | None = None,
    weighted: bool = False,
) -> Corpus:
    """Counts a split's examples, tokens and batches; the arguments are those of `batches`."""
    records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")
    bounds = _bounds(max_tokens)
    # Of each bucket of lengths; kept a pair at a time they would grow with the corpus.
    rows = np.zeros(len(bounds), np.int64)
    too_long = of_no_weight = target_tokens = 0
    flat = records.batch(4096).map(_flat_weighted if weighted else _flat)
    for source, _, target, _, *weights in flat.as_numpy_iterator():
        longest = np.maximum(source, target)
        used = short = longest <= max_tokens
        if weights:
            used = short & (weights[0] >= LEAST_WEIGHT)
        rows += np.bincount(np.searchsorted(bounds, longest[used]), minlength=len(bounds))
        too_long += int((~short).sum())
        of_no_weight += int((short & ~used).sum())
        target_tokens += int((target[used] - 1).sum())
    examples = int(rows.sum())
    count = -(-examples // batch_size)
    if batch_tokens:
        count = int((-(-rows // _sizes(bounds, batch_tokens))).sum())
    return Corpus(examples, too_long, target_tokens, count, of_no_weight)


def digest(files: list[str], weighted: bool = False) -> str:
    """A digest of the token ids in the files, in their order, and of the files' names.

    Of what they hold and not of their bytes, for the features of an Example may be
    written in any order; and not of their folder, which each execution has anew.

    Args:
      files: as those of `batches`.
      weighted: of the pairs' weights, too.
    """
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(os.path.basename(file).encode())
        for records in tf.data.TFRecordDataset(file, compression_type="GZIP").batch(4096):
            for part in (_flat_weighted if weighted else _flat)(records):
                found.update(part.numpy().tobytes())
    return found.hexdigest()


def batches(
    files: list[str],
    batch_size: int,
    max_tokens: int,
    seed: int | None = None,
    epoch: int = 0,
    batch_tokens: int | None = None,
    weighted: bool = False,
) -> tf.data.Dataset:
    """One epoch of batches for teacher forcing.

    Their number follows from lengths and weights alone, and is `survey`'s.

    Args:
      files: gzipped TFRecords of Examples with `source_ids` and `target_ids`.
      batch_size: B, examples a batch; one of an epoch may have fewer.
      max_tokens: examples with a longer side are left out.
      seed: shuffles; None keeps the order.
      epoch: each has an order of its own, which follows from it and the seed alone.
      batch_tokens: the tokens of a batch's longer side, padding included, in place of
        `batch_size`; a pair that is longer is a batch by itself.
      weighted: examples have a `weight`, too; those of none are left out.

    Returns:
      What `teacher_forcing` makes of each batch.
    """
    parse = partial(_parse, weighted=weighted)

    def used(records: tf.Tensor) -> tf.Tensor:
        parsed = parse(records)
        found = _longest_sides(parsed) <= max_tokens
        if weighted:
            found &= parsed[features.WEIGHT][:, 0] >= LEAST_WEIGHT
        return tf.boolean_mask(records, found)

    def cut(window: dict[str, Any]) -> tf.data.Dataset:
        order = tf.argsort(_longest_sides(window), stable=True)

        def batch(start: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = order[start : start + batch_size]
            return _padded({name: tf.gather(values, rows) for name, values in window.items()})

        starts = tf.range(0, tf.size(order), batch_size)
        return tf.data.Dataset.from_tensor_slices(starts).map(batch)

    # Of the files, of the examples, of the batches.
    seeds = np.random.SeedSequence((seed or 0, epoch)).generate_state(3).tolist()
    if seed is None:
        records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")
    else:
        records = _mixed(files, seeds[0])
    # Left out before windows are cut, or an epoch's number of batches would vary.
    records = records.batch(1024).map(used).unbatch()
    if seed is not None:
        records = records.shuffle(SHUFFLE_BUFFER, seed=seeds[1], reshuffle_each_iteration=False)
    if batch_tokens:
        dataset = _of_tokens(records, batch_tokens, max_tokens, parse)
    else:
        dataset = records.batch(WINDOW * batch_size).map(parse).flat_map(cut)
    if seed is not None:
        dataset = dataset.shuffle(WINDOW, seed=seeds[2], reshuffle_each_iteration=False)
    # An iterator that is tuned waits for its tuner's next round before it ends:
    # up to a minute of standing still after every epoch. Nothing here needs tuning.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.map(teacher_forcing).prefetch(4).with_options(options)


def teacher_forcing(batch: dict[str, Any]) -> tuple[Any, ...]:
    """What a model is given, and what it is to say.

    Args:
      batch: `source_ids` [B, S] and `target_ids` [B, 1 + T], padded with `features.PAD`;
        where pairs are weighted, `weight` [B, 1].

    Returns:
      The model's inputs (`source_ids` [B, S], `target_ids` [B, T] without the last
      token, `target_positions` [N]: of its real tokens) and the labels [N] that follow
      there. N is rounded up, with labels of `features.PAD`. Where pairs are weighted also
      the factors [N] that make of a mean over the tokens w_1 l_1 + ... + w_N l_N over
      w_1 + ... + w_N, the w of each token being its pair's.
    """
    target_BT = batch[features.TARGET_IDS]
    inputs = {
        features.SOURCE_IDS: batch[features.SOURCE_IDS],
        features.TARGET_IDS: target_BT[:, :-1],
    }
    labels_BT = target_BT[:, 1:]
    if features.WEIGHT not in batch:
        return with_positions(inputs, labels_BT)
    real_BT = tf.cast(labels_BT != features.PAD, tf.float32)
    weight_B1 = batch[features.WEIGHT]
    weights_BT = real_BT * (weight_B1 / tf.reduce_max(weight_B1))  # whose sum is no infinity
    factors_BT = weights_BT * (tf.reduce_sum(real_BT) / tf.reduce_sum(weights_BT))
    return with_positions(inputs, labels_BT, factors_BT)


def with_positions(
    inputs: dict[str, Any], labels_BT: Any, factors_BT: Any = None
) -> tuple[Any, ...]:
    """The inputs with the positions of real labels, and what is there: see `teacher_forcing`."""
    labels = tf.reshape(labels_BT, [-1])
    positions_N = tf.where(labels != features.PAD)[:, 0]
    more = _rounded(tf.size(positions_N)) - tf.size(positions_N)
    positions = tf.pad(tf.cast(positions_N, tf.int32), [[0, more]])
    labels_N = tf.pad(tf.gather(labels, positions_N), [[0, more]])
    inputs = {**inputs, features.TARGET_POSITIONS: positions}
    if factors_BT is None:
        return inputs, labels_N
    factors_N = tf.gather(tf.reshape(factors_BT, [-1]), positions_N)
    return inputs, labels_N, tf.pad(factors_N, [[0, more]])


def _mixed(files: list[str], seed: int) -> tf.data.Dataset:
    """The records of files in an order by seed, some files at a time, a record of each in turn.

    Read one after another, files that are far apart would never meet in the buffer.
    """
    order = np.random.default_rng(seed).permutation(sorted(files)).tolist()
    return tf.data.Dataset.from_tensor_slices(tf.constant(order, tf.string)).interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type="GZIP"), FILES_AT_ONCE
    )


def _of_tokens(
    records: tf.data.Dataset, batch_tokens: int, max_tokens: int, parse: Parse
) -> tf.data.Dataset:
    """Batches of rows from one bucket of lengths each, padded."""
    bounds = _bounds(max_tokens)
    sizes = tf.constant(_sizes(bounds, batch_tokens), tf.int64)

    def with_bucket(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        longest = tf.cast(_longest_sides(parse(records)), tf.int64)
        return tf.searchsorted(bounds, longest, out_type=tf.int64), records

    return (
        records.batch(1024)
        .map(with_bucket)
        .unbatch()
        .group_by_window(
            key_func=lambda bucket, _: bucket,
            reduce_func=lambda bucket, rows: rows.batch(sizes[bucket]),
            window_size_func=lambda bucket: sizes[bucket],
        )
        .map(lambda _, records: _padded(parse(records)))
    )


def _bounds(max_tokens: int) -> np.ndarray:
    """The longest row of each bucket of lengths: an eighth longer than that of the one before."""
    bounds = [8]
    while bounds[-1] < max_tokens:
        bounds.append(bounds[-1] + max(1, bounds[-1] // 8))
    return np.array(bounds, np.int64)


def _sizes(bounds: np.ndarray, batch_tokens: int) -> np.ndarray:
    """How many rows of each bucket are a batch."""
    return np.maximum(batch_tokens // bounds, 1)


def _padded(batch: dict[str, Any]) -> dict[str, tf.Tensor]:
    return {
        name: values.to_tensor(features.PAD) if isinstance(values, tf.RaggedTensor) else values
        for name, values in batch.items()
    }


def _longest_sides(batch: dict[str, Any]) -> tf.Tensor:
    """The tokens of each pair's longer side."""
    return tf.maximum(
        batch[features.SOURCE_IDS].row_lengths(), batch[features.TARGET_IDS].row_lengths()
    )


def _rounded(rows: tf.Tensor) -> tf.Tensor:
    """The next of few numbers of rows, for each that comes is compiled once.

    Multiples of 32, and from 1,024 on of 1/32 of the power of two below.
    """
    steps = tf.bitwise.left_shift(32, tf.range(16))
    step = tf.reduce_max(tf.where(steps * 32 <= rows, steps, 32))
    return -(-rows // step) * step


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def _flat(records: tf.Tensor) -> list[tf.Tensor]:
    """The lengths and the ids of sources, then of targets; plain tensors are freed at once."""
    batch = _parse(records)
    sides = [batch[features.SOURCE_IDS], batch[features.TARGET_IDS]]
    return [part for ids in sides for part in (ids.row_lengths(), ids.flat_values)]


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def _flat_weighted(records: tf.Tensor) -> list[tf.Tensor]:
    """As `_flat`, with the weights [pairs] beside them."""
    return [*_flat(records), _parse(records, weighted=True)[features.WEIGHT][:, 0]]


def _parse(records: tf.Tensor, weighted: bool = False) -> dict[str, Any]:
    return tf.io.parse_example(records, {**_SPEC, **_WEIGHTS} if weighted else _SPEC)
