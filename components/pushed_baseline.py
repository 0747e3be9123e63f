"""PushedBaseline: the model to compare with, where no ML Metadata can be asked.

Kubeflow Pipelines compiles no resolver strategy of one's own, and its open-source
backend runs no resolver at all. The newest pushed version is the last model that the
gate has blessed, and lies in a folder that any runner reaches.
"""

from __future__ import annotations

import os
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

SAVED_MODEL = "saved_model.pb"  # Pusher writes it last


class PushedBaselineSpec(ComponentSpec):
    """A folder of pushed versions in, a model out."""

    PARAMETERS = {"versions": ExecutionParameter(type=str)}
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}


class Executor(base_executor.BaseExecutor):
    """Copies the newest version; without one the model's folder stays empty."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        folder = exec_properties["versions"]
        model = artifact_utils.get_single_instance(output_dict["model"])
        fileio.makedirs(model.uri)
        newest = newest_version(folder)
        if newest is None:
            logging.info("no version was pushed to %s: there is no baseline", folder)
            return
        logging.info("the baseline is %s", newest)
        io_utils.copy_dir(newest, path_utils.serving_model_dir(model.uri))


def newest_version(folder: str) -> str | None:
    """The newest version in a folder or bucket of them, all of it there; None without any."""
    if not fileio.exists(folder):
        return None
    names = (name.rstrip("/") for name in fileio.listdir(folder))
    whole = [
        name
        for name in names
        if name.isdecimal() and fileio.exists(os.path.join(folder, name, SAVED_MODEL))
    ]
    return os.path.join(folder, max(whole, key=int)) if whole else None


class PushedBaseline(base_component.BaseComponent):
    """Gives the newest pushed version as a model.

    Args:
      versions: the folder or URI that Pusher pushes to.
    """

    SPEC_CLASS = PushedBaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, versions: str):
        model = types.Channel(type=standard_artifacts.Model)
        super().__init__(spec=PushedBaselineSpec(versions=versions, model=model))
