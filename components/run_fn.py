"""What Trainer runs: build, fit, export."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import keras
import tensorflow as tf
from absl import logging
from tfx.components.trainer import fn_args_utils
from tfx.dsl.io import fileio

from ..models.losses import TokenAccuracy, TokenCrossEntropy
from ..models.seq2seq import build_seq2seq
from ..serving.predictor import Predictor
from . import progress
from .errors import PipelineError
from .trainer import TOKENIZER, TrainerSettings, TrainingConfig
from .training_data import Corpus, batches, survey
from .transform import read_tokenizers
from .warm_start import warm_start

HISTORY = "history.json"


def run_fn(fn_args: fn_args_utils.FnArgs) -> None:
    """Trains a model on token ids and exports it with its tokenizers and search.

    Args:
      fn_args: TFX's; `custom_config` holds the settings and the tokenizer's place.

    Raises:
      PipelineError: no example is short enough to train on.
    """
    settings = TrainerSettings.model_validate_json(fn_args.custom_config["settings"])
    training = settings.training
    keras.utils.set_random_seed(training.seed)

    source_tokenizer, target_tokenizer = read_tokenizers(fn_args.custom_config[TOKENIZER])
    model = build_seq2seq(
        settings.model, source_tokenizer.vocabulary_size, target_tokenizer.vocabulary_size
    )
    logging.info("%d parameters", model.count_params())
    if training.warm_start:
        kept = warm_start(
            model, training.warm_start, source_tokenizer.model, target_tokenizer.model
        )
        logging.info("warm start from %s: %s", training.warm_start, kept)

    train_files = _files(fn_args.train_files)
    validation_files = _files(fn_args.eval_files)
    corpus = survey(train_files, training.batch_size, training.max_tokens)
    validation = survey(validation_files, training.batch_size, training.max_tokens)
    logging.info("training on %s, validating on %s", corpus, validation)
    for split, counted in (("train", corpus), ("validation", validation)):
        if not counted.examples:
            raise PipelineError(
                f"training.max_tokens: all {counted.too_long:,} examples of the {split} split "
                f"are longer than {training.max_tokens} tokens. Raise the limit."
            )

    model.compile(
        optimizer=_optimizer(training, corpus.batches),
        loss=TokenCrossEntropy(training.label_smoothing),
        metrics=[TokenAccuracy()],
        # 'auto' compiles with XLA, which on a CPU is slower and recompiles for each shape.
        jit_compile=False,
    )
    history = model.fit(
        batches(train_files, training.batch_size, training.max_tokens, training.seed),
        validation_data=batches(validation_files, training.batch_size, training.max_tokens),
        epochs=training.epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=training.early_stopping_epochs, restore_best_weights=True
            ),
            keras.callbacks.TerminateOnNaN(),
            ReportProgress(corpus, training.epochs),
        ],
    )
    _write_history(fn_args.model_run_dir, history, corpus, validation, model.count_params())

    predictor = Predictor(
        model,
        source_tokenizer,
        target_tokenizer,
        settings.search,
        settings.serving.max_source_tokens,
    )
    predictor.export(fn_args.serving_model_dir)


class ReportProgress(keras.callbacks.Callback):
    """Tells `progress` how far the fit is, a few times a second at most."""

    INTERVAL = 0.5  # seconds

    def __init__(self, corpus: Corpus, epochs: int):
        super().__init__()
        self._corpus, self._epochs = corpus, epochs
        self._tokens_per_step = corpus.target_tokens / corpus.batches
        self._epoch = self._steps_done = 0
        self._began = self._told = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch + 1
        self._began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps_done = batch + 1
        if time.monotonic() - self._told >= self.INTERVAL:
            self._told = time.monotonic()
            self._tell(logs or {}, None)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._trained = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell(logs or {}, (logs or {}).get("val_loss"))

    def _tell(self, logs: dict[str, Any], validation_loss: float | None) -> None:
        until = self._trained if validation_loss is not None else time.monotonic()
        rate = self._steps_done * self._tokens_per_step / max(until - self._began, 1e-9)
        progress.report(
            progress.TrainingProgress(
                self._epoch,
                self._epochs,
                self._steps_done,
                self._corpus.batches,
                rate,
                float(logs.get("loss", float("nan"))),
                validation_loss,
            )
        )


def _optimizer(training: TrainingConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        total = training.epochs * steps_per_epoch
        warmup = min(training.warmup_steps, total // 2)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else rate,
            decay_steps=total - warmup,
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    return keras.optimizers.Adam(rate, global_clipnorm=training.clip_norm)


def _files(patterns: list[str]) -> list[str]:
    return sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))


def _write_history(
    folder: str, history: Any, corpus: Corpus, validation: Corpus, parameters: int
) -> None:
    """Keeps the learning curve and what it was learned on, for people and reports."""
    record = {
        "parameters": parameters,
        "train": corpus._asdict(),
        "validation": validation._asdict(),
        "epochs": [
            {name: float(values[i]) for name, values in history.history.items()}
            for i in range(len(history.epoch))
        ],
    }
    fileio.makedirs(folder)
    with fileio.open(os.path.join(folder, HISTORY), "w") as file:
        file.write(json.dumps(record, indent=2))
