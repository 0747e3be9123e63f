"""Trainer with a tokenizer: TFX's Trainer, its settings typed, its code in the cache key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from tfx import types
from tfx.components.trainer import executor, fn_args_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import json_utils

from ..models import features
from ..models.configuration import Section
from ..models.model_config import ModelConfig
from ..models.search_options import SearchConfig
from ..serving.predictor import ServingConfig
from .artifacts import TokenizerModel
from .code_digest import code_digest
from .distribution import NO_TPU, Distribution
from .metrics import TextMetricName

TOKENIZER = "tokenizer"
CHECKPOINTS = "checkpoints"
LAST_BLESSED = "last_blessed"  # `training.warm_start`: the run finds the model
RUN_FN = "seq2seq_tfx.components.run_fn.run_fn"

Count = Annotated[int, Field(ge=1)]


class TrainingConfig(Section):
    """The `training` section: how the weights are found."""

    epochs: Count = 10
    batch_size: Count = 128
    batch_tokens: Annotated[int, Field(ge=3)] | None = None  # in place of batch_size
    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of sgd
    lazy_embeddings: bool = False  # of adam: rows that a batch has not stay as they are
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    accumulate: Count = 1  # batches whose gradients make one update
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    schedule: Literal["constant", "cosine", "inverse_sqrt", "plateau"] = "cosine"
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of plateau
    warmup_steps: Annotated[int, Field(ge=0)] = 200
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    scheduled_sampling: Annotated[float, Field(ge=0, le=1)] = 0.0  # share, at the end
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None  # how much of the average stays
    average_epochs: Count = 1
    early_stopping_epochs: Count = 3
    early_stopping_metric: Literal["loss"] | TextMetricName = "loss"
    early_stopping_examples: Count = 500  # that are decoded for it
    shown_examples: Annotated[int, Field(ge=0, le=50)] = 0  # in TensorBoard, after each epoch
    max_tokens: Annotated[int, Field(ge=3)] = 100
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 5.0
    distribution: Distribution = "auto"
    # An exported version, a folder of versions of which the newest is taken, or LAST_BLESSED.
    warm_start: str | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> TrainingConfig:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum: belongs to optimizer: sgd, and '{self.optimizer}' has its own"
            )
        if self.ema and self.average_epochs > 1:
            raise ValueError(
                f"ema: expected one way of averaging, received average_epochs "
                f"({self.average_epochs}), too"
            )
        if self.distribution == "tpu":
            raise ValueError(NO_TPU)
        if self.lazy_embeddings and (other := self._moves_all_rows()):
            raise ValueError(
                f"lazy_embeddings: expected optimizer: adam without weight_decay and accumulate, "
                f"in one place, for all else moves every row; received {other}"
            )
        return self

    def _moves_all_rows(self) -> str:
        """The key that `lazy_embeddings` does not go with, and its value."""
        fitting: dict[str, list[Any]] = {
            "optimizer": ["adam"],
            "weight_decay": [0.0],
            "accumulate": [1],
            "distribution": ["auto", "cpu", "one_gpu"],
        }
        found = ((key, getattr(self, key)) for key in fitting)
        return next((f"{key}: {value}" for key, value in found if value not in fitting[key]), "")


def ties_lazy_rows(model: ModelConfig, training: TrainingConfig) -> str:
    """Why `training.lazy_embeddings` would do nothing for this model; '' where it does."""
    if training.lazy_embeddings and model.tied_embeddings != "none":
        needs = "expected model.tied_embeddings: none, for an output layer moves every row"
        return f"{needs}; received {model.tied_embeddings}"
    return ""


class TrainerSettings(Section):
    """All sections that decide what Trainer makes."""

    model: ModelConfig
    training: TrainingConfig
    search: SearchConfig
    serving: ServingConfig
    weighted: bool = False  # the examples have a weight each: `data.weight`

    @model_validator(mode="after")
    def _fit_together(self) -> TrainerSettings:
        if told := ties_lazy_rows(self.model, self.training):
            raise ValueError(f"training.lazy_embeddings: {told}")
        return self

    def with_values(self, values: Mapping[str, Any]) -> TrainerSettings:
        """These settings with others for some keys of `model` and `training`.

        Args:
          values: by key, such as `training.learning_rate` or `model.size.units`.

        Raises:
          ValueError: there is no such key, or its section refuses the value.
        """
        settings = self.model_dump()
        for key, value in values.items():
            *path, name = key.split(".")
            section: Any = settings if path and path[0] in ("model", "training") else {}
            for part in path:
                section = section.get(part) if isinstance(section, dict) else None
            if not isinstance(section, dict) or name not in section:
                raise ValueError(
                    f"expected a key of model or training, such as training.learning_rate; "
                    f"received '{key}'"
                )
            section[name] = value
        try:
            return TrainerSettings.model_validate(settings)
        except ValidationError as error:
            told = "; ".join(
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}, received {one['input']!r}"
                for one in error.errors()
            )
            raise ValueError(told) from error


class TrainerSpec(standard_component_specs.TrainerSpec):
    """As TFX's, with the tokenizer as an input."""

    PARAMETERS = {
        **standard_component_specs.TrainerSpec.PARAMETERS,
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        **standard_component_specs.TrainerSpec.INPUTS,
        TOKENIZER: ChannelParameter(type=TokenizerModel),
    }


def settings_of(fn_args: fn_args_utils.FnArgs) -> TrainerSettings:
    """What Trainer was given, with the values that Tuner found."""
    settings = TrainerSettings.model_validate_json(fn_args.custom_config["settings"])
    return settings.with_values(tuned_values(fn_args))


def tuned_values(fn_args: fn_args_utils.FnArgs) -> dict[str, Any]:
    """The values that Tuner found, by key."""
    return (fn_args.hyperparameters or {}).get("values", {})


class Executor(executor.GenericExecutor):
    """Runs TFX's Trainer with two places in its custom configuration.

    That of the tokenizer, and a folder for checkpoints beside the outputs of all
    executions, for another execution takes them up.
    """

    def _GetFnArgs(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> fn_args_utils.FnArgs:
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        fn_args.custom_config[TOKENIZER] = artifact_utils.get_single_uri(input_dict[TOKENIZER])
        outputs = os.path.dirname(os.path.dirname(fn_args.model_run_dir))
        fn_args.custom_config[CHECKPOINTS] = os.path.join(outputs, CHECKPOINTS)
        return fn_args


class Trainer(base_component.BaseComponent):
    """Trains and exports.

    Args:
      examples: token ids, of `Transform`.
      tokenizer: of `TokenizerTrainer`.
      settings: what to train, how, and what the export answers with.
      hyperparameters: values in place of some of them, of `Tuner`.
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        tokenizer: types.BaseChannel,
        settings: TrainerSettings,
        hyperparameters: types.BaseChannel | None = None,
    ):
        super().__init__(
            spec=TrainerSpec(
                examples=examples,
                tokenizer=tokenizer,
                hyperparameters=hyperparameters,
                train_args=trainer_pb2.TrainArgs(splits=[features.TRAIN]),
                eval_args=trainer_pb2.EvalArgs(splits=[features.VALIDATION]),
                run_fn=RUN_FN,
                custom_config=json_utils.dumps({"settings": settings.model_dump_json()}),
                code_digest=code_digest(RUN_FN.rpartition(".")[0]),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )
