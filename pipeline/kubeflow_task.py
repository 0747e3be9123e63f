"""What a container of Kubeflow Pipelines or Vertex AI starts: one component of the pipeline.

TFX's own entry point does the work. Around it stand what components take for granted:
artifacts as files (KFP's launcher and Vertex AI lay buckets below /gcs, /s3 and /minio),
the names of our artifact types, and a training that stops well.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .environment import prepare

MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}


def run_task(arguments: Sequence[str], mounts: Mapping[str, str] = MOUNTS) -> None:
    """Runs the executor that a task of the compiled pipeline names.

    Args:
      arguments: as the specification has them; what is not known here is for Beam.
      mounts: where the containers find each kind of bucket.
    """
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    from ..components import interruption
    from ..components.artifacts import OWN_TYPES

    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args")
    given, beam_args = parser.parse_known_args(arguments)
    compiler_utils.TITLE_TO_CLASS_PATH.update(
        {kind.TYPE_NAME: f"{kind.__module__}.{kind.__name__}" for kind in OWN_TYPES}
    )

    def to_mount(uri: str) -> str:
        return _exchanged(uri, mounts)

    def to_bucket(path: str) -> str:
        return _exchanged(path, {mount: scheme for scheme, mount in mounts.items()})

    invocation = json.loads(given.json_serialized_invocation_args)
    outputs = invocation["outputs"]
    outputs["outputFile"] = to_mount(outputs["outputFile"])
    _rename(invocation.get("inputs", {}), to_mount)
    _rename(outputs, to_mount)
    for artifacts in outputs["artifacts"].values():  # only their parents are there
        for artifact in artifacts["artifacts"]:
            fileio.makedirs(artifact["uri"])
    given.json_serialized_invocation_args = json.dumps(invocation)
    with interruption.stoppable():
        kubeflow_v2_run_executor.main((given, beam_args))
    with fileio.open(outputs["outputFile"]) as file:
        made = json.loads(file.read())
    _rename(made, to_bucket)
    with fileio.open(outputs["outputFile"], "w") as file:
        file.write(json.dumps(made))


def _rename(side: dict[str, Any], change: Callable[[str], str]) -> None:
    """Changes the URIs of artifacts in a part of KFP's ExecutorInput or ExecutorOutput."""
    for artifacts in side.get("artifacts", {}).values():
        for artifact in artifacts.get("artifacts", []):
            artifact["uri"] = change(artifact["uri"])


def _exchanged(text: str, beginnings: Mapping[str, str]) -> str:
    for old, new in beginnings.items():
        if text.startswith(old):
            return new + text[len(old) :]
    return text


def main() -> None:
    """Runs the task of the command line, and says in a line why it failed."""
    prepare()
    from ..components.errors import reason_of

    try:
        run_task(sys.argv[1:])
    except Exception as error:
        print(f"error: {reason_of(error)}", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
