"""Tuner: short trainings with values that are drawn, the best of which go to Trainer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras_tuner
from absl import logging
from tfx import types
from tfx.components.trainer import fn_args_utils
from tfx.components.tuner import executor as tfx_executor
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import json_utils

from ..models import features
from . import progress
from .artifacts import TokenizerModel
from .code_digest import code_digest
from .errors import PipelineError
from .trainer import CHECKPOINTS, TOKENIZER, TrainerSettings
from .tuning import TuningConfig, space_of

TRIALS = "trials"  # in the artifact of results: Keras Tuner's own record


class Trials(keras_tuner.RandomSearch):
    """Random search (Bergstra and Bengio, 2012) over trainings of ours."""

    def run_trial(self, trial: Any, *args: Any, **_: Any) -> dict[str, float]:
        """Trains once; returns what the best of its epochs measured."""
        fn_args, settings, tuning = args
        return try_values(trial.hyperparameters.values, trial.trial_id, fn_args, settings, tuning)


def told(values: dict[str, Any]) -> str:
    """Values by key, for people."""
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
    )


def try_values(
    values: dict[str, Any],
    name: str,
    fn_args: fn_args_utils.FnArgs,
    settings: TrainerSettings,
    tuning: TuningConfig,
) -> dict[str, float]:
    """Trains with some values.

    Args:
      values: by key.
      name: of the trial.
      fn_args: as `run_fn` has them; the folder of results in place of `model_run_dir`.
      settings: what is trained otherwise.
      tuning: how long.

    Returns:
      The objective at its best.
    """
    # Whose module imports TensorFlow's parts.
    from .run_fn import discard, distribution_of, train_here

    progress.note(f"trial {name}: {told(values)}")
    tried = settings.with_values({**values, "training.epochs": tuning.epochs})
    own = fn_args_utils.FnArgs(
        train_files=fn_args.train_files,
        eval_files=fn_args.eval_files,
        custom_config=fn_args.custom_config,
        model_run_dir=os.path.join(fn_args.model_run_dir, f"trial-{name}"),
    )
    train_here(own, tried, distribution_of(tried))
    epochs = discard(own)["epochs"]
    figures = [epoch[tuning.objective] for epoch in epochs]
    best = min(figures) if tuning.objective == "val_loss" else max(figures)
    logging.info("trial %s: %s %.4g with %s", name, tuning.objective, best, values)
    return {tuning.objective: best}


class TunerSpec(standard_component_specs.TunerSpec):
    """As TFX's, with the tokenizer as an input."""

    PARAMETERS = {
        **standard_component_specs.TunerSpec.PARAMETERS,
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        **standard_component_specs.TunerSpec.INPUTS,
        TOKENIZER: ChannelParameter(type=TokenizerModel),
    }


class Executor(base_executor.BaseExecutor):
    """Runs the trials; writes the best values as TFX's Tuner does."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Searches."""
        from .run_fn import distribution_of

        fn_args = fn_args_utils.get_common_fn_args(input_dict, exec_properties)
        config = fn_args.custom_config
        settings = TrainerSettings.model_validate_json(config["settings"])
        tuning = TuningConfig.model_validate_json(config["tuning"])
        distribution_of(settings)  # what the machine has not is told before the first trial
        config[TOKENIZER] = artifact_utils.get_single_uri(input_dict[TOKENIZER])
        results = artifact_utils.get_single_uri(
            output_dict[standard_component_specs.TUNER_RESULTS_KEY]
        )
        fn_args.model_run_dir = results
        config[CHECKPOINTS] = str(Path(results).parent.parent / CHECKPOINTS)
        tuner = Trials(
            objective=keras_tuner.Objective(
                tuning.objective, "min" if tuning.objective == "val_loss" else "max"
            ),
            max_trials=tuning.trials,
            # Any of them may fail, three after each other as well; that all did is told below.
            max_consecutive_failed_trials=tuning.trials + 1,
            seed=tuning.seed,
            hyperparameters=space_of(tuning.keys),
            tune_new_entries=False,
            directory=results,
            project_name=TRIALS,
        )
        tuner.search(fn_args, settings, tuning, verbose=0)
        best = tuner.get_best_hyperparameters()
        if not best:
            raise PipelineError(
                f"tuning: none of {tuning.trials} trials went through; the log says why. Narrow "
                "the ranges of tuning.keys"
            )
        progress.note(f"best of the trials: {told(best[0].values)}")
        tfx_executor.write_best_hyperparameters(tuner, output_dict)


class Tuner(base_component.BaseComponent):
    """Finds values for keys of `training` and `model`.

    Args:
      examples: token ids, of `Transform`.
      tokenizer: of `TokenizerTrainer`.
      settings: what is trained.
      tuning: what is tried.
    """

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        tokenizer: types.BaseChannel,
        settings: TrainerSettings,
        tuning: TuningConfig,
    ):
        sections = {"settings": settings.model_dump_json(), "tuning": tuning.model_dump_json()}
        super().__init__(
            spec=TunerSpec(
                examples=examples,
                tokenizer=tokenizer,
                train_args=trainer_pb2.TrainArgs(splits=[features.TRAIN]),
                eval_args=trainer_pb2.EvalArgs(splits=[features.VALIDATION]),
                custom_config=json_utils.dumps(sections),
                code_digest=code_digest(__name__),
                best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
                tuner_results=types.Channel(type=standard_artifacts.TunerResults),
            )
        )
