"""StatisticsGen as TFX's, which reads its Examples in batches."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.statistics_gen import component, executor
from tfx.dsl.components.base import executor_spec

from .tfx_in_batches import examples_in_batches


class Executor(executor.Executor):
    """Runs TFX's StatisticsGen."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        with examples_in_batches():
            super().Do(input_dict, output_dict, exec_properties)


class StatisticsGen(component.StatisticsGen):
    """TFX's component, with its arguments."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
