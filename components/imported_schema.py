"""ImportedSchema: a schema that somebody wrote, in place of one that is inferred.

TFX's ImportSchemaGen keeps the path as its parameter, so that a changed file would come
from the cache. Here the text itself is the parameter.
"""

from __future__ import annotations

import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from .curated_schema import read_schema

FILE = "schema.pbtxt"  # as TFX's SchemaGen names it


class ImportedSchemaSpec(ComponentSpec):
    """A schema as text in, the same as an artifact out."""

    PARAMETERS = {"text": ExecutionParameter(type=str)}
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}


class Executor(base_executor.BaseExecutor):
    """Writes the schema."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        folder = artifact_utils.get_single_uri(output_dict["schema"])
        with fileio.open(os.path.join(folder, FILE), "w") as file:
            file.write(exec_properties["text"])


class ImportedSchema(base_component.BaseComponent):
    """Gives a curated schema to all who ask for one.

    Args:
      path: of the file, checked when the configuration was read.
    """

    SPEC_CLASS = ImportedSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, path: str):
        schema = types.Channel(type=standard_artifacts.Schema)
        super().__init__(spec=ImportedSchemaSpec(text=read_schema(path), schema=schema))
