"""What Trainer runs: build, fit, export."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from absl import logging
from tfx.components.trainer import fn_args_utils
from tfx.dsl.io import fileio

from ..models.losses import TokenAccuracy, TokenCrossEntropy
from ..models.scheduled_sampling import ScheduledSampling
from ..models.seq2seq import Seq2Seq, build_seq2seq
from ..serving.predictor import Predictor
from .checkpoints import Checkpoints
from .code_digest import code_digest
from .curves import Curves
from .decoded_validation import DecodedValidation
from .distribution import Distribution, devices_of, resolve
from .errors import PipelineError
from .fit import Fit, Plan
from .optimizers import optimizer_of
from .preprocessing import read_tokenizers
from .replicas import Replicas
from .shown_samples import ShownSamples
from .trainer import CHECKPOINTS, TOKENIZER, TrainerSettings, settings_of, tuned_values
from .training_data import batches, digest, survey
from .training_faults import Diverged, NotFinite, advice, keep_batch, out_of_memory
from .validation_sample import ValidationSample
from .warm_start import warm_start
from .workers import Workers, lead

HISTORY = "history.json"


def run_fn(fn_args: fn_args_utils.FnArgs) -> None:
    """Trains a model on token ids and exports it with its tokenizers and search.

    Args:
      fn_args: TFX's; `custom_config` holds the settings and the tokenizer's place.

    Raises:
      PipelineError: no example is short enough to train on, there are too few batches for
        one update, the loss is no number, or the machine has not what
        `training.distribution` asks for.
      Interrupted: the process was asked to stop.
    """
    settings = settings_of(fn_args)
    distribution = distribution_of(settings)
    if distribution == "multi_worker":
        lead(fn_args)
        return
    export(fn_args, settings, train_here(fn_args, settings, distribution))


def distribution_of(settings: TrainerSettings) -> Distribution:
    """What `training.distribution` is on this machine.

    Raises:
      PipelineError: the machine has not what it asks for, or the training is for one device.
    """
    distribution = resolve(settings.training.distribution)
    if settings.training.lazy_embeddings and distribution in ("mirrored", "multi_worker"):
        raise PipelineError(
            "training.lazy_embeddings: expected one device, and training.distribution: auto is "
            f"{distribution} here, where gradients are added whole. Set it to cpu or one_gpu"
        )
    return distribution


def train_here(
    fn_args: fn_args_utils.FnArgs, settings: TrainerSettings, distribution: Distribution
) -> Seq2Seq:
    """As `train`, in this process alone, on the devices of a distribution."""
    devices = devices_of(distribution)
    with tf.device(devices[0]) if devices else nullcontext():
        return train(fn_args, settings, devices)


def train(
    fn_args: fn_args_utils.FnArgs,
    settings: TrainerSettings,
    devices: Sequence[str] = (),
    workers: Workers | None = None,
) -> Seq2Seq:
    """Trains a model, and writes its history.

    Args:
      fn_args: see `run_fn`.
      settings: what it holds.
      devices: that share each batch.
      workers: the processes that do; the chief alone writes.

    Returns:
      The model with its best weights.
    """
    training = settings.training
    keras.utils.set_random_seed(training.seed)

    train_files = _files(fn_args.train_files)
    validation_files = _files(fn_args.eval_files)
    cut = (training.batch_size, training.max_tokens)
    weighted = settings.weighted
    corpus = survey(train_files, *cut, training.batch_tokens, weighted)
    validation = survey(validation_files, *cut, training.batch_tokens)
    logging.info("training on %s, validating on %s", corpus, validation)
    for split, counted in (("train", corpus), ("validation", validation)):
        if counted.of_no_weight and not counted.examples:
            raise PipelineError(
                f"data.weight: expected pairs of the {split} split with a weight above 0, found "
                f"{counted.of_no_weight:,} of weight 0 and {counted.too_long:,} longer than "
                f"training.max_tokens ({training.max_tokens})"
            )
        if not counted.examples:
            raise PipelineError(
                f"training.max_tokens: all {counted.too_long:,} examples of the {split} split "
                f"are longer than {training.max_tokens} tokens. Raise the limit."
            )

    if training.accumulate > (steps := training.epochs * corpus.batches):
        raise PipelineError(
            f"training.accumulate: expected at most {steps:,}, the batches of all epochs together "
            f"({training.epochs:,} times {corpus.batches:,}), or no update is ever made; "
            f"received {training.accumulate:,}. Lower it, or raise training.epochs"
        )

    source_tokenizer, target_tokenizer = read_tokenizers(fn_args.custom_config[TOKENIZER])
    sampling = None
    if training.scheduled_sampling:
        updates = -(-training.epochs * corpus.batches // training.accumulate)
        sampling = ScheduledSampling(training.scheduled_sampling, updates)
    model = build_seq2seq(
        settings.model,
        source_tokenizer.vocabulary_size,
        target_tokenizer.vocabulary_size,
        sampling,
    )
    logging.info("%d parameters", model.count_params())
    if training.warm_start:
        kept = warm_start(
            model, training.warm_start, source_tokenizer.model, target_tokenizer.model
        )
        logging.info("warm start from %s: %s", training.warm_start, kept)

    model.compile(
        optimizer=optimizer_of(training, corpus.batches),
        loss=TokenCrossEntropy(training.label_smoothing),
        metrics=[TokenAccuracy()],
        # 'auto' compiles with XLA, which on a CPU is slower and recompiles for each shape.
        jit_compile=False,
    )
    models = source_tokenizer.model + target_tokenizer.model
    inputs = {
        "train": digest(train_files, weighted),
        "validation": digest(validation_files),
        "tokenizer": hashlib.sha256(models).hexdigest(),
    }
    identity = _identity(settings, inputs)
    checkpoints = Checkpoints(Path(fn_args.custom_config[CHECKPOINTS]) / identity)
    validation_data = batches(validation_files, *cut, batch_tokens=training.batch_tokens).apply(
        tf.data.experimental.assert_cardinality(validation.batches)
    )
    sample = partial(
        ValidationSample,
        model,
        source_tokenizer,
        target_tokenizer,
        settings.search,
        validation_data,
        max_tokens=training.max_tokens,
    )
    decoded = None
    if training.early_stopping_metric != "loss":
        asked = sample(examples=training.early_stopping_examples)
        decoded = DecodedValidation(asked, training.early_stopping_metric)
    curves = Curves(fn_args.model_run_dir)
    shown = None
    if training.shown_examples and not (workers and workers.index):
        shown = ShownSamples(sample(examples=training.shown_examples), curves)
    replicas = None
    if workers:
        replicas = Replicas(model, [""], workers.index, workers.count, workers.all_reduce)
    elif len(devices) > 1:
        replicas = Replicas(model, list(devices))
    fit = Fit(
        model,
        partial(
            batches,
            train_files,
            *cut,
            training.seed,
            batch_tokens=training.batch_tokens,
            weighted=weighted,
        ),
        validation_data,
        corpus,
        Plan(
            training.epochs,
            training.early_stopping_epochs,
            60 * training.checkpoint_minutes,
            training.average_epochs,
            training.plateau_factor if training.schedule == "plateau" else None,
        ),
        checkpoints,
        curves,
        decoded,
        shown,
        replicas,
        int(identity[:6], 16),
    )
    try:
        history = fit.run()
    except NotFinite as error:
        place = keep_batch(error.batch, checkpoints.folder, source_tokenizer, target_tokenizer)
        raise PipelineError(
            f"{error}, {advice(error, training)}. The pairs of that batch are in {place}"
        ) from error
    except Diverged as error:
        raise PipelineError(f"{error}, {advice(error, training)}") from error
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise PipelineError(out_of_memory(training)) from error
    if replicas and not replicas.is_chief:
        return model
    record = {
        "identity": identity,
        "seed": training.seed,
        "versions": _versions(),
        "inputs": inputs,
        "parameters": model.count_params(),
        "tuned": tuned_values(fn_args),
        "train": corpus._asdict(),
        "validation": validation._asdict(),
        "epochs": history,
    }
    _write(os.path.join(fn_args.model_run_dir, HISTORY), record)
    return model


def export(fn_args: fn_args_utils.FnArgs, settings: TrainerSettings, model: Seq2Seq) -> None:
    """Exports a trained model, and removes the checkpoints that led to it."""
    tokenizers = read_tokenizers(fn_args.custom_config[TOKENIZER])
    limit = settings.serving.max_source_tokens
    Predictor(model, *tokenizers, settings.search, limit).export(fn_args.serving_model_dir)
    discard(fn_args)


def discard(fn_args: fn_args_utils.FnArgs) -> dict[str, Any]:
    """Removes the checkpoints of a training that is through; returns its history."""
    with fileio.open(os.path.join(fn_args.model_run_dir, HISTORY)) as file:
        record = json.load(file)
    Checkpoints(Path(fn_args.custom_config[CHECKPOINTS]) / record["identity"]).remove()
    return record


def _files(patterns: list[str]) -> list[str]:
    return sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))


def _identity(settings: TrainerSettings, inputs: dict[str, str]) -> str:
    """Names all that decides the weights, so that no checkpoint of another fit is taken up."""
    decodes = settings.training.early_stopping_metric != "loss"
    decisive = {
        "model": settings.model.model_dump(),
        "training": settings.training.model_dump(exclude={"checkpoint_minutes", "shown_examples"}),
        "search": settings.search.model_dump() if decodes else None,
        "inputs": inputs,
        "code": code_digest(__name__),
        "versions": _versions(),
    }
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    """Of what computes the weights."""
    return {"tensorflow": tf.__version__, "keras": keras.__version__}


def _write(path: str, record: dict[str, Any]) -> None:
    """Keeps the learning curve and what it was learned on, for people and reports."""
    fileio.makedirs(os.path.dirname(path))
    with fileio.open(path, "w") as file:
        file.write(json.dumps(record, indent=2))
