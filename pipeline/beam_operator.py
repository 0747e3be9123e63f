"""Gives Beam its options when a component runs, and not where the pipeline is made.

TFX writes the options of a pipeline into the cache key of each component. Where
work is done changes no result, so the key holds `BEAM_ARGS` whatever is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tfx.orchestration.portable import beam_executor_operator, launcher
from tfx.proto.orchestration import executable_spec_pb2, placeholder_pb2


@contextmanager
def beam_arguments(arguments: Sequence[str]) -> Iterator[None]:
    """Components that start meanwhile run on Beam with these options.

    Args:
      arguments: of Beam, as on a command line.
    """

    class Operator(beam_executor_operator.BeamExecutorOperator):
        def __init__(self, executor_spec: Any, platform_config: Any = None):
            super().__init__(executor_spec, platform_config)
            self.beam_pipeline_args = [_constant(argument) for argument in arguments]

    operators, kind = launcher.DEFAULT_EXECUTOR_OPERATORS, executable_spec_pb2.BeamExecutableSpec
    usual = operators[kind]
    operators[kind] = Operator
    try:
        yield
    finally:
        operators[kind] = usual


def _constant(text: str) -> placeholder_pb2.PlaceholderExpression:
    expression = placeholder_pb2.PlaceholderExpression()
    expression.value.string_value = text
    return expression
