"""Transform with a tokenizer: text to token ids, by the graph that serving runs."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.transform import executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import transform_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import json_utils

from ..models import features
from .artifacts import TokenizerModel
from .code_digest import code_digest
from .preprocessing import TOKENIZER, preprocessing_fn
from .tfx_in_batches import examples_in_batches


class TransformSpec(standard_component_specs.TransformSpec):
    """As TFX's, with the tokenizer as an input."""

    PARAMETERS = {
        **standard_component_specs.TransformSpec.PARAMETERS,
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        **standard_component_specs.TransformSpec.INPUTS,
        TOKENIZER: ChannelParameter(type=TokenizerModel),
    }


class Executor(executor.Executor):
    """Runs TFX's Transform with the tokenizer's place in its custom configuration."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        folder = artifact_utils.get_single_uri(input_dict[TOKENIZER])
        given = json_utils.loads(exec_properties["custom_config"]) or {}
        custom_config = json_utils.dumps({**given, TOKENIZER: folder})
        with examples_in_batches():
            super().Do(input_dict, output_dict, {**exec_properties, "custom_config": custom_config})


class Transform(base_beam_component.BaseBeamComponent):
    """Tokenizes the splits that training reads.

    The test split stays text: it is decoded by the exported model alone.

    Args:
      examples: of `PairExampleGen`.
      schema: of the examples.
      tokenizer: of `TokenizerTrainer`.
      weight: the feature that weighs pairs, if there is one.
    """

    SPEC_CLASS = TransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        tokenizer: types.BaseChannel,
        weight: str | None = None,
    ):
        transformed = types.Channel(type=standard_artifacts.Examples)
        transformed.matching_channel_name = "examples"
        super().__init__(
            spec=TransformSpec(
                examples=examples,
                schema=schema,
                tokenizer=tokenizer,
                preprocessing_fn=f"{preprocessing_fn.__module__}.{preprocessing_fn.__name__}",
                splits_config=transform_pb2.SplitsConfig(
                    analyze=[features.TRAIN], transform=[features.TRAIN, features.VALIDATION]
                ),
                force_tf_compat_v1=0,
                custom_config=json_utils.dumps({features.WEIGHT: weight} if weight else None),
                # The statistics that matter are taken of the text, upstream.
                disable_statistics=1,
                code_digest=code_digest(__name__),
                transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
                transformed_examples=transformed,
            )
        )
