"""A Job of Kubernetes whose pods train together: TF_CONFIG for each of them.

Kubernetes gives the pods of an Indexed Job names that last, and a headless Service makes
addresses of them. The first is the chief, which runs the pipeline; the others wait for its
Trainer and train along.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .cli_common import DATA_GATE, NOT_RELEASED, TO_MEND, WRONG
from .runner_config import CONFIG, KubernetesConfig, KubernetesName

Manifest = dict[str, Any]
_NAMES = TypeAdapter(KubernetesName)
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
# What no repetition mends: the command line or the configuration, the gates, an error that
# names what to mend.
FINAL = [WRONG, NOT_RELEASED, DATA_GATE, TO_MEND]
START = """\
if [ "$WORKER" = 0 ]; then
  exec seq2seq run "$@"
fi
exec seq2seq train-worker "$@"
"""


def manifests(job: str, output: Path, config: KubernetesConfig, text: str) -> list[Manifest]:
    """The configuration, the Service and the Job, as documents of one YAML file.

    Args:
      job: its name.
      output: of its runs.
      config: the `runner.kubernetes` section.
      text: of the whole configuration.

    Raises:
      ValueError: Kubernetes takes no such name, with the number of a worker after it.
    """
    name = f"seq2seq-{job.replace('_', '-')}"
    try:
        _NAMES.validate_python(f"{name}-{config.workers - 1}")
        _NAMES.validate_python(name)
    except ValidationError:
        raise ValueError(
            f"expected letters, digits and hyphens for Kubernetes, a letter or digit last and "
            f"with the number of a worker 63 at most, received '{name}'"
        ) from None
    metadata = {"name": name, "namespace": config.namespace, "labels": _labels(name)}
    service = {
        "clusterIP": "None",
        # TensorFlow waits for its peers before any of them is ready.
        "publishNotReadyAddresses": True,
        "selector": _labels(name),
        "ports": [{"name": "grpc", "port": config.port}],
    }
    final = {
        "action": "FailJob",
        "onExitCodes": {"operator": "In", "values": FINAL},
        "onPodConditions": [],  # the schema of some releases asks for it
    }
    spec = {
        "completionMode": "Indexed",
        "completions": config.workers,
        "parallelism": config.workers,
        # Of the whole Job: whoever loses a peer fails with it, so a fault costs all of them.
        "backoffLimit": config.retries * config.workers,
        "podFailurePolicy": {"rules": [final]},
        "template": {
            "metadata": {"labels": _labels(name)},
            "spec": _pod(name, str(output), config),
        },
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"job.yaml": text}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec},
    ]


def tf_config(name: str, config: KubernetesConfig) -> str:
    """TensorFlow's TF_CONFIG of every worker; Kubernetes puts its number in."""
    pods = [f"{name}-{i}.{name}.{config.namespace}.svc" for i in range(config.workers)]
    cluster = json.dumps({"worker": [f"{pod}:{config.port}" for pod in pods]})
    return f'{{"cluster": {cluster}, "task": {{"type": "worker", "index": $(WORKER)}}}}'


def _labels(name: str) -> Manifest:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "training"}


def _pod(name: str, output: str, config: KubernetesConfig) -> Manifest:
    limits: Manifest = {"cpu": f"{round(1000 * config.cpu)}m", "memory": config.memory}
    if config.accelerator:
        limits[config.accelerator.type] = config.accelerator.count
    container = {
        "name": "worker",
        "image": config.image,
        "command": ["sh", "-c", START, "worker"],
        "args": ["--config", f"{CONFIG}/job.yaml", "--output", output],
        "workingDir": config.folder,
        "env": [
            {"name": "WORKER", "valueFrom": {"fieldRef": {"fieldPath": INDEX}}},
            {"name": "TF_CONFIG", "value": tf_config(name, config)},
        ],
        "ports": [{"name": "grpc", "containerPort": config.port}],
        "resources": {"requests": dict(limits), "limits": dict(limits)},
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
            {"name": "job", "mountPath": config.folder},
        ],
    }
    return {
        "subdomain": name,
        "restartPolicy": "Never",
        # On SIGTERM a training writes a checkpoint first.
        "terminationGracePeriodSeconds": 120,
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": name}},
            {"name": "job", "persistentVolumeClaim": {"claimName": config.claim}},
        ],
    }
