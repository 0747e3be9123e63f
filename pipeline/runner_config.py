"""The `runner` section: where the work of the pipeline is done. Imports nothing of the stack."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ..models.configuration import Section
from .beam_args import BEAM_ARGS, BEAM_RUNNER, NO_PACKAGE

Address = Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]
Workers = Annotated[int, Field(ge=1)]
KubernetesName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]


CONFIG = "/config"  # where a worker in a cluster finds its configuration


class InMemory(Section):
    """Beam in the process of the run: the fastest for small data."""

    runner: Literal["in_memory"] = "in_memory"

    def arguments(self) -> list[str]:
        """The options of Beam."""
        return list(BEAM_ARGS)


class MultiProcessing(Section):
    """Beam in several processes of this machine, each of which imports the stack."""

    runner: Literal["multi_processing"]
    workers: Workers

    def arguments(self) -> list[str]:
        """The options of Beam."""
        return [
            f"--runner={BEAM_RUNNER}",
            "--direct_running_mode=multi_processing",
            f"--direct_num_workers={self.workers}",
            NO_PACKAGE,
        ]


class _OnWorkers(Section):
    """What runners share that start workers by Beam's portability: how a worker comes to be."""

    environment: Literal["DOCKER", "PROCESS", "EXTERNAL", "LOOPBACK"] = "DOCKER"
    environment_config: str | None = None

    @model_validator(mode="after")
    def _environment_is_told(self) -> _OnWorkers:
        needs = {
            "DOCKER": "the image that workers run",
            "PROCESS": 'JSON such as {"command": "/opt/boot"}',
            "EXTERNAL": "HOST:PORT of a worker pool",
        }
        if self.environment in needs and not self.environment_config:
            raise ValueError(
                f"environment_config: environment {self.environment} needs "
                f"{needs[self.environment]}, received none"
            )
        if self.environment == "LOOPBACK" and self.environment_config:
            raise ValueError("environment_config: environment LOOPBACK takes none")
        return self

    def _of_environment(self) -> list[str]:
        arguments = [f"--environment_type={self.environment}"]
        if self.environment_config:
            arguments.append(f"--environment_config={self.environment_config}")
        # TFX would have each worker install it from an index, unless an image is named.
        # Other environments have all that they need and do not look at this.
        if self.environment == "DOCKER":
            return [*arguments, f"--sdk_container_image={self.environment_config}"]
        return [*arguments, NO_PACKAGE]


class Portable(_OnWorkers):
    """Any runner of Beam's that has a job service."""

    runner: Literal["portable"]
    job_endpoint: Address
    workers: Workers = 1

    def arguments(self) -> list[str]:
        """The options of Beam."""
        return [
            "--runner=PortableRunner",
            f"--job_endpoint={self.job_endpoint}",
            f"--sdk_worker_parallelism={self.workers}",
            *self._of_environment(),
        ]


class Flink(_OnWorkers):
    """A cluster of Flink; Beam starts the job server, which needs Java."""

    runner: Literal["flink"]
    master: Address
    job_server_jar: str
    parallelism: Workers = 1

    def arguments(self) -> list[str]:
        """The options of Beam."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master={self.master}",
            f"--flink_job_server_jar={self.job_server_jar}",
            f"--parallelism={self.parallelism}",
            *self._of_environment(),
        ]


class Spark(_OnWorkers):
    """A cluster of Spark 3; Beam starts the job server, which needs Java."""

    runner: Literal["spark"]
    master: Annotated[str, Field(pattern=r"^(spark://[^\s:/]+:\d{1,5}|local(\[(\d+|\*)\])?|yarn)$")]
    job_server_jar: str

    def arguments(self) -> list[str]:
        """The options of Beam."""
        return [
            "--runner=SparkRunner",
            f"--spark_master_url={self.master}",
            f"--spark_job_server_jar={self.job_server_jar}",
            *self._of_environment(),
        ]


class Dataflow(Section):
    """Google Cloud Dataflow."""

    runner: Literal["dataflow"]
    project: Annotated[str, Field(pattern=r"^[a-z][a-z0-9:.-]*[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)+\d+$")]
    temp_location: Annotated[str, Field(pattern=r"^gs://[^/]+/.+")]
    container_image: str
    machine_type: str | None = None
    max_workers: Workers | None = None
    service_account: str | None = None
    subnetwork: str | None = None
    public_ips: bool = True

    def arguments(self) -> list[str]:
        """The options of Beam."""
        named = {
            "project": self.project,
            "region": self.region,
            "temp_location": self.temp_location,
            "sdk_container_image": self.container_image,
            "machine_type": self.machine_type,
            "max_num_workers": self.max_workers,
            "service_account_email": self.service_account,
            "subnetwork": self.subnetwork,
        }
        return [
            "--runner=DataflowRunner",
            *(f"--{name}={value}" for name, value in named.items() if value is not None),
            *([] if self.public_ips else ["--no_use_public_ips"]),
        ]


AnyBeam = Annotated[
    InMemory | MultiProcessing | Portable | Flink | Spark | Dataflow,
    Field(discriminator="runner"),
]


# The nodes of `create_pipeline`, whatever a job has of them.
ComponentName = Literal[
    "PairExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ImportedSchema",
    "ExampleValidator",
    "BitextValidator",
    "TokenizerTrainer",
    "Transform",
    "Tuner",
    "Trainer",
    "Baseline",
    "Evaluator",
    "Gate",
    "InfraValidator",
    "Pusher",
]


class Accelerator(Section):
    """What a task computes on beside CPUs."""

    # As the platform names it: nvidia.com/gpu, or NVIDIA_TESLA_T4 on Vertex AI.
    type: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]*$")]
    count: Annotated[int, Field(ge=1)] = 1


class TaskConfig(Section):
    """What a task of a cluster gets, and how often it is tried again."""

    cpu: Annotated[float, Field(gt=0)] | None = None
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*(Mi|Gi)$")] | None = None
    accelerator: Accelerator | None = None
    retries: Annotated[int, Field(ge=0)] = 0

    def specification(self) -> dict[str, Any]:
        """KFP's ResourceSpec as JSON: CPUs, and memory in 10^9 bytes."""
        found: dict[str, Any] = {}
        if self.cpu:
            found["cpuLimit"] = self.cpu
        if self.memory:
            size = int(self.memory[:-2]) << (30 if self.memory.endswith("Gi") else 20)
            found["memoryLimit"] = size / 1e9
        if self.accelerator:
            kind, count = self.accelerator.type, str(self.accelerator.count)
            found["accelerator"] = {"type": kind, "count": count}
        return found


class KubeflowConfig(TaskConfig):
    """The `runner.kubeflow` section: what `seq2seq compile kubeflow` needs.

    What it says of tasks is for those that `components` does not name.
    """

    image: Annotated[str, Field(pattern=r"^[a-z0-9]\S*$")]
    pipeline_root: Annotated[str, Field(pattern=r"^gs://[^/\s]+(/\S*)?$")]
    backoff_seconds: Annotated[int, Field(ge=1)] = 60  # before the first retry; then doubled
    components: dict[ComponentName, TaskConfig] = {}

    def of(self, component: str) -> TaskConfig:
        """What a component's task gets: keys of its own before those of all."""
        own = {name: config for name, config in self.components.items() if name == component}
        given = own[component].model_dump(exclude_unset=True) if component in own else {}
        usual = {name: getattr(self, name) for name in TaskConfig.model_fields}
        return TaskConfig.model_validate({**usual, **given})


class KubernetesConfig(Section):
    """The `runner.kubernetes` section: who trains together in a cluster of Kubernetes."""

    image: Annotated[str, Field(pattern=r"^[a-z0-9]\S*$")]
    workers: Annotated[int, Field(ge=2)]
    # The volume that all of them write to at once, where it is mounted, and where paths in
    # the configuration start.
    claim: KubernetesName
    folder: Annotated[str, Field(pattern=r"^/\S+$")] = "/job"
    namespace: KubernetesName = "default"
    cpu: Annotated[float, Field(gt=0)] = 4.0
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*(Mi|Gi)$")] = "8Gi"
    accelerator: Accelerator | None = None
    port: Annotated[int, Field(ge=1024, le=65535)] = 2222
    retries: Annotated[int, Field(ge=0)] = 3  # of the whole training, for what may pass

    @model_validator(mode="after")
    def _is_taken(self) -> KubernetesConfig:
        folder = os.path.normpath(self.folder)
        if folder.strip("/") in ("", CONFIG.strip("/")) or ":" in folder:
            raise ValueError(
                f"folder: expected one other than / and {CONFIG}, where a worker finds its "
                f"configuration, and no ':' in it, received '{self.folder}'"
            )
        if self.accelerator and "/" not in self.accelerator.type:
            raise ValueError(
                "accelerator.type: expected a resource of Kubernetes such as nvidia.com/gpu, "
                f"received '{self.accelerator.type}'"
            )
        return self


def _folder(named: str) -> str:
    if not named.strip() or is_elsewhere(named):
        raise ValueError(f"expected a folder of this machine, received '{named}'")
    return named


def is_elsewhere(path: str) -> bool:
    """Whether a path is on storage that has to be asked by a URL."""
    return re.match(r"[a-z0-9]+:/", path) is not None


def output_folder(job: str, named: str | None) -> Path:
    """Where all that a job's runs make goes, unless --output says otherwise.

    Args:
      job: its name.
      named: `runner.output`; None for output/NAME.
    """
    return Path(named) if named else Path("output") / job


def output_of(document: Mapping[str, Any], job: str) -> Path:
    """The `output_folder` of a job as it is written, checked or not."""
    runner = document.get("runner")
    named = runner.get("output") if isinstance(runner, Mapping) else None
    return output_folder(job, named if isinstance(named, str) else None)


class RunnerConfig(Section):
    """The `runner` section: it says where work is done, and changes no result."""

    # The folder of all that runs make, of this machine or a disk that it mounts.
    output: Annotated[str, AfterValidator(_folder)] | None = None
    beam: AnyBeam = InMemory()
    kubeflow: KubeflowConfig | None = None
    kubernetes: KubernetesConfig | None = None
