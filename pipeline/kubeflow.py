"""Compiles the pipeline for Kubeflow Pipelines v2 and Vertex AI, without asking either."""

from __future__ import annotations

import json
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.types import BaseChannel

from ..components.data_config import NEWEST, is_local
from ..components.pushed_baseline import PushedBaseline
from ..components.spans import names_spans
from ..components.trainer import LAST_BLESSED
from ..serving.production import as_yaml
from .binding import Binding
from .config import PipelineConfig
from .config_file import ConfigurationError, lines_of, place_of, read_document
from .graph import create_pipeline
from .run_folder import ARTIFACTS, SERVING
from .runner_config import InMemory, KubeflowConfig, MultiProcessing

COMMAND = ["python", "-m", "seq2seq_tfx.pipeline.kubeflow_task"]
# What these two find is no function of their inputs: files change, and versions are pushed.
UNCACHED = {"PairExampleGen", "Baseline"}

Spec = dict[str, Any]


def compile_file(path: Path, config: PipelineConfig, to: Path) -> Spec:
    """Compiles a job into a file: a YAML of the specification, or a JSON of the whole job.

    Args:
      path: of the configuration, to say where in it something is wrong.
      config: what stands there.
      to: a name that ends in .yaml, .yml or .json.

    Returns:
      The specification.

    Raises:
      ConfigurationError: the job cannot run elsewhere as it is.
      OSError: the file cannot be written.
    """
    if config.runner.kubeflow is None:
        raise ConfigurationError([f"{path}: runner.kubeflow: required section is missing"])
    if problems := obstacles(config):
        lines = lines_of(read_document(path))
        raise ConfigurationError(
            [f"{place_of(path, lines, at)}{'.'.join(at)}: {what}" for at, what in problems]
        )
    job = pipeline_job(config, config.runner.kubeflow)
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("w", encoding="utf-8") as file:
        if to.suffix == ".json":
            json.dump(job, file, indent=1, sort_keys=True)
        else:
            file.write(as_yaml([json.loads(json.dumps(job["pipelineSpec"], sort_keys=True))]))
    return dict(job["pipelineSpec"])


def tasks_of(spec: Spec) -> dict[str, list[str]]:
    """The tasks of a specification in an order in which they can run, and what each waits for."""
    tasks = spec["root"]["dag"]["tasks"]
    waits = {name: list(task.get("dependentTasks", [])) for name, task in sorted(tasks.items())}
    return {name: waits[name] for name in TopologicalSorter(waits).static_order()}


def obstacles(config: PipelineConfig) -> list[tuple[tuple[str, ...], str]]:
    """What of a job only this machine could do, and the key of each."""
    found: list[tuple[tuple[str, ...], str]] = []
    needs = "expected a URI such as gs://bucket/path, which tasks in a cluster reach, received"
    for pattern in filter(is_local, config.data.patterns):
        found.append((("data", "input"), f"{needs} '{pattern}'"))
    for name, file in config.evaluation.challenge_sets.items():
        if is_local(file):
            found.append((("evaluation", "challenge_sets", name), f"{needs} '{file}'"))
    start = config.training.warm_start
    if start == LAST_BLESSED:
        what = "is found in this machine's ML Metadata; name the URI of an exported model"
        found.append((("training", "warm_start"), f"{LAST_BLESSED} {what}"))
    elif start and is_local(start):
        found.append((("training", "warm_start"), f"{needs} '{start}'"))
    if config.data_validation.limits_drift:
        what = "the report of the span before is found in this machine's ML Metadata; leave it out"
        found.append((("data_validation", "max_drift"), what))
    beam = config.runner.beam
    if not isinstance(beam, InMemory | MultiProcessing):
        what = "artifacts of a task are folders of its own container, which no worker elsewhere has"
        found.append((("runner", "beam"), f"expected in_memory or multi_processing: {what}"))
    if config.prediction:
        what = "what is answered so far is kept in this machine's folders alone; leave it out"
        found.append((("prediction",), what))
    if config.export.forms:
        what = "other forms are written to this machine's folders alone; leave them out"
        found.append((("export", "forms"), what))
    return found


def pipeline_job(config: PipelineConfig, settings: KubeflowConfig) -> Spec:
    """The job of the one pipeline, as JSON of KFP's PipelineJob.

    Args:
      config: the job; `obstacles` has none.
      settings: the `runner.kubeflow` section.
    """
    # A pipeline's name has no underscores there.
    named = config.model_copy(update={"name": config.name.replace("_", "-")})
    pipeline = create_pipeline(named, _binding(config, settings))
    for component in pipeline.components:
        if resources := settings.of(component.id).specification():
            component.with_platform_config(
                json_format.ParseDict(
                    resources,
                    pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(),
                )
            )
    runner = KubeflowV2DagRunner(
        config=KubeflowV2DagRunnerConfig(
            default_image=settings.image, default_commands=COMMAND, use_pipeline_spec_2_1=True
        )
    )
    job = runner.run(pipeline, write_out=False)
    for name, task in job["pipelineSpec"]["root"]["dag"]["tasks"].items():
        if retries := settings.of(name).retries:
            task["retryPolicy"] = {
                "maxRetryCount": retries,
                "backoffDuration": f"{settings.backoff_seconds}s",
                "backoffFactor": 2.0,
            }
        if name in UNCACHED:
            task.pop("cachingOptions", None)
    asked = job["pipelineSpec"]["root"].get("inputDefinitions", {}).get("parameters", {})
    for parameter in asked.values():
        parameter["defaultValue"] = NEWEST  # TFX leaves it out
    # Raises where a field is not one of the format's.
    json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    return dict(job)


def _binding(config: PipelineConfig, settings: KubeflowConfig) -> Binding:
    root = settings.pipeline_root.rstrip("/")
    serving = f"{root}/{SERVING}/{config.serving.model_name}"

    def baseline(candidate: BaseChannel) -> BaseNode:
        return PushedBaseline(serving).with_id("Baseline")

    def previous_span(examples: BaseChannel) -> BaseNode:
        raise AssertionError("drift has no limit here: it is an obstacle")

    asks = any(map(names_spans, config.data.patterns))
    return Binding(
        artifacts=f"{root}/{ARTIFACTS}",
        serving=serving,
        exports="",  # an obstacle
        metadata=None,
        baseline=baseline,
        previous_span=previous_span,
        spans=RuntimeParameter(name="spans", ptype=str, default=NEWEST) if asks else None,
        beam_args=config.runner.beam.arguments(),
    )
