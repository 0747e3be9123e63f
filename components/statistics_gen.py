"""StatisticsGen as TFX's, which reads its Examples in batches."""

from __future__ import annotations

from tfx.components.statistics_gen import component, executor
from tfx.dsl.components.base import executor_spec

from .tfx_in_batches import examples_in_batches


class Executor(executor.Executor):
    """Runs TFX's StatisticsGen."""

    Do = examples_in_batches()(executor.Executor.Do)


class StatisticsGen(component.StatisticsGen):
    """TFX's component, with its arguments."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
