"""What TensorFlow Serving in production is started with, made from the configuration.

Files: the model configuration (its proto is checked when it is read back), batching and
monitoring parameters (as upstream documents them; the stubs carry no proto of theirs), a
container file, and Kubernetes manifests (`kubernetes`).
"""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from google.protobuf import text_format
from pydantic import Field, field_validator, model_validator
from ruamel.yaml import YAML
from tensorflow_serving.config import model_server_config_pb2

from ..models import features
from ..models.configuration import Section
from .promotion import CANARY, STABLE, Promotion

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
GRPC_PORT, REST_PORT = 8500, 8501
METRICS = "/monitoring/prometheus/metrics"
SPARE_THREADS = 64  # which refuse what the queue has no room for
CONFIG = "/config"  # where a server finds its configuration


class BatchingConfig(Section):
    """The `deployment.batching` section: what a server decodes together."""

    rows: Count = features.WARM_UP_ROWS  # at most
    wait_milliseconds: Annotated[float, Field(ge=0)] = 0.0  # for more rows to come
    queued_batches: Count = 4  # more are answered UNAVAILABLE
    threads: Count = 2  # batches decoded at once

    @field_validator("rows")
    @classmethod
    def _warm_up_fits(cls, rows: int) -> int:
        # TensorFlow Serving batches before it warms up, and refuses what is larger.
        if rows < features.WARM_UP_ROWS:
            raise ValueError(
                f"expected at least {features.WARM_UP_ROWS}, the rows of an export's largest "
                f"warm-up request, received {rows}: no version could be loaded"
            )
        return rows

    @property
    def requests_in_hand(self) -> int:
        """How many requests of one row wait or are decoded at once, at most."""
        return self.rows * (self.queued_batches + self.threads)


class DeploymentConfig(Section):
    """The `deployment` section: how pushed versions are served in production."""

    # To be as new as the TensorFlow that exported the model, which `deployment_check` looks
    # at; the newest that was known to exist here.
    image: Annotated[str, Field(pattern=r"^\S+$")] = "tensorflow/serving:2.19.1"
    # The folder that holds the folder of versions, as a server sees it: where the volume
    # claim is mounted, or a bucket.
    models: Annotated[str, Field(pattern=r"^(/|[a-z0-9]+://)\S*$")] = "/models"
    claim: Name = "seq2seq-models"
    namespace: Name = "default"
    gateway: Name | None = None  # of the Gateway API; it divides traffic with a canary
    replicas: Count = 2
    most_replicas: Count = 6
    busy_percent: Annotated[int, Field(ge=1, le=100)] = 70  # of the CPUs, when one is added
    cpu: Annotated[float, Field(ge=0.001)] = 2.0  # of each server
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*(Mi|Gi)$")] = "2Gi"
    canary_percent: Annotated[int, Field(ge=0, le=100)] = 10  # of the traffic
    request_seconds: Annotated[float, Field(ge=0.001)] = 30.0
    batching: BatchingConfig = BatchingConfig()

    @field_validator("models")
    @classmethod
    def _can_be_mounted(cls, models: str) -> str:
        parts = [part for part in models.split("/") if part not in ("", ".")]
        if not parts or f"/{parts[0]}" == CONFIG:
            raise ValueError(
                f"expected a folder other than / and {CONFIG}, where a server finds its "
                f"configuration, received '{models}'"
            )
        return models

    @model_validator(mode="after")
    def _replicas_fit(self) -> DeploymentConfig:
        if self.most_replicas < self.replicas:
            raise ValueError(
                f"expected most_replicas of at least replicas ({self.replicas}), "
                f"received {self.most_replicas}"
            )
        return self

    @property
    def mounts_a_volume(self) -> bool:
        """Whether servers read versions from a volume."""
        return "://" not in self.models


def model_config(config: DeploymentConfig, name: str, label: str, promoted: Promotion) -> str:
    """TensorFlow Serving's model configuration of the servers of a label, as text.

    Args:
      config: the section.
      name: the model's.
      label: STABLE or CANARY. Servers load its version alone; where nothing was
        promoted yet, the stable ones follow the newest.
      promoted: what was promoted.
    """
    found = model_server_config_pb2.ModelServerConfig()
    model = found.model_config_list.config.add(
        name=name,
        base_path=f"{config.models.rstrip('/')}/{name}",
        model_platform="tensorflow",
    )
    if label in promoted.labels:
        version = promoted.labels[label]
        model.model_version_policy.specific.versions.append(version)
        model.version_labels[label] = version
    else:
        model.model_version_policy.latest.num_versions = 1
    return str(text_format.MessageToString(found))


def batching_parameters(config: BatchingConfig) -> str:
    """The file of `--batching_parameters_file`: a text of upstream's BatchingParameters."""
    return "".join(
        f"{name} {{ value: {value} }}\n"
        for name, value in (
            ("max_batch_size", config.rows),
            ("batch_timeout_micros", round(1000 * config.wait_milliseconds)),
            ("max_enqueued_batches", config.queued_batches),
            ("num_batch_threads", config.threads),
        )
    )


def monitoring_config() -> str:
    """The file of `--monitoring_config_file`: a text of upstream's MonitoringConfig."""
    return f'prometheus_config {{\n  enable: true\n  path: "{METRICS}"\n}}\n'


def arguments(config: DeploymentConfig) -> list[str]:
    """Of `tensorflow_model_server`, with its files in `CONFIG`."""
    # A request has a thread until it is answered. Of upstream's own choice, 4 for each core,
    # batches would have no more rows, and requests beyond it be refused before the queue is
    # full by gRPC, or wait without an end by REST.
    threads = config.batching.requests_in_hand + SPARE_THREADS
    return [
        f"--port={GRPC_PORT}",
        f"--rest_api_port={REST_PORT}",
        f"--grpc_max_threads={threads}",
        f"--rest_api_num_threads={threads}",
        f"--rest_api_timeout_in_ms={round(1000 * config.request_seconds)}",
        # Read once: a label cannot move to what is not loaded, so servers are replaced.
        f"--model_config_file={CONFIG}/models.config",
        # Or a server would refuse to start with a label on what is not loaded yet.
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching=true",
        f"--batching_parameters_file={CONFIG}/batching.config",
        f"--monitoring_config_file={CONFIG}/monitoring.config",
    ]


def files_of(
    config: DeploymentConfig, name: str, label: str, promoted: Promotion
) -> dict[str, str]:
    """The files in `CONFIG` of the servers of a label."""
    return {
        "models.config": model_config(config, name, label, promoted),
        "batching.config": batching_parameters(config.batching),
        "monitoring.config": monitoring_config(),
    }


def container_file(config: DeploymentConfig, name: str) -> str:
    """A container file of a server with its configuration and the pushed versions inside.

    To be built in a folder that holds what `write_files` wrote and, unless they are in a
    bucket, the versions.
    """
    command = ", ".join(f'"{part}"' for part in ["tensorflow_model_server", *arguments(config)])
    holds, versions = "stable/", ""
    if config.mounts_a_volume:
        holds = f"{name}/ (pushed versions) and stable/"
        versions = f"COPY {name}/ {config.models.rstrip('/')}/{name}/\n"
    return (
        f"# To be built in a folder that holds {holds}.\n"
        f"FROM {config.image}\n"
        f"COPY stable/ {CONFIG}/\n"
        f"{versions}"
        f"EXPOSE {GRPC_PORT} {REST_PORT}\n"
        "USER 65534\n"
        f"ENTRYPOINT [{command}]\n"
    )


def write_files(
    config: DeploymentConfig, name: str, promoted: Promotion, folder: Path
) -> list[Path]:
    """Writes everything, the manifests last.

    Args:
      config: the section.
      name: the model's.
      promoted: which version has which label; a canary is written where there is one.
      folder: made where it is missing.

    Returns:
      The files.

    Raises:
      OSError: one cannot be written.
    """
    from .kubernetes import manifests

    labels = [STABLE, *([CANARY] if CANARY in promoted.labels else [])]
    texts = {
        f"{label}/{file}": text
        for label in labels
        for file, text in files_of(config, name, label, promoted).items()
    }
    texts["Dockerfile"] = container_file(config, name)
    texts["kubernetes.yaml"] = as_yaml(manifests(config, name, labels, promoted))
    paths = []
    for file, text in texts.items():
        paths.append(folder / file)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_text(text, encoding="utf-8")
    return paths


def remove_canary(folder: Path) -> bool:
    """Removes what `write_files` wrote for a canary that is none any more.

    Args:
      folder: in which it wrote.

    Returns:
      Whether there was something.

    Raises:
      OSError: it cannot be removed.
    """
    found = [folder / CANARY / f"{kind}.config" for kind in ("models", "batching", "monitoring")]
    found = [file for file in found if file.is_file()]
    for file in found:
        file.unlink()
    with suppress(OSError):  # somebody else's file is in it
        (folder / CANARY).rmdir()
    return bool(found)


def as_yaml(documents: list[dict[str, Any]]) -> str:
    """Documents of one YAML file, which readers of YAML 1.1 and of 1.2 understand alike."""
    return "---\n".join(map(_as_document, documents))


def _as_document(document: dict[str, Any]) -> str:
    yaml, stream = YAML(), io.StringIO()
    yaml.version = (1, 1)  # in which `no` is false, unless it stands in quotes
    yaml.default_flow_style = False
    yaml.dump(document, stream)
    return stream.getvalue().partition("---\n")[2]  # without the version
