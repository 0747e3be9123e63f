"""Kubernetes manifests of TensorFlow Serving: a deployment for each label, and their traffic."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from .production import (
    CONFIG,
    GRPC_PORT,
    METRICS,
    REST_PORT,
    DeploymentConfig,
    arguments,
    files_of,
)
from .promotion import CANARY, Promotion

Manifest = dict[str, Any]
DRAIN_SECONDS = 10  # until nobody sends requests to a pod that is to end


def manifests(
    config: DeploymentConfig, name: str, labels: list[str], promoted: Promotion
) -> list[Manifest]:
    """All of them, as documents of one YAML file.

    Args:
      config: the `deployment` section.
      name: the model's.
      labels: STABLE, and CANARY where a version has it.
      promoted: which version has which label.
    """
    found = []
    for label in labels:
        files = files_of(config, name, label, promoted)
        found.append(_config_map(config, name, label, files))
        found.append(_deployment(config, name, label, files))
        found.append(_service(config, name, label))
    stable = labels[0]
    found += [_autoscaler(config, name, stable), _disruption_budget(config, name, stable)]
    if config.gateway:
        found.append(_route(config, config.gateway, name, labels))
    return found


def deletion(config: DeploymentConfig, name: str, label: str) -> str:
    """The command that removes the servers of a label, which applying other manifests does not."""
    named = _named(config, name, label)["name"]
    return f"kubectl --namespace {config.namespace} delete deployment,service,configmap {named}"


# The path of a request by gRPC begins with its service.
_SERVICES = ("PredictionService", "ModelService")


def _named(config: DeploymentConfig, name: str, label: str) -> Manifest:
    # A name of Kubernetes has neither capitals nor dots nor underscores.
    plain = "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")
    return {
        "name": f"{plain}-{label}",
        "namespace": config.namespace,
        "labels": _labels(name, label),
    }


def _labels(name: str, label: str) -> Manifest:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/component": label}


def _config_map(config: DeploymentConfig, name: str, label: str, files: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _named(config, name, label),
        "data": files,
    }


def _deployment(config: DeploymentConfig, name: str, label: str, files: dict[str, str]) -> Manifest:
    metadata = _named(config, name, label)
    volumes: list[Manifest] = [{"name": "config", "configMap": {"name": metadata["name"]}}]
    mounts: list[Manifest] = [{"name": "config", "mountPath": CONFIG, "readOnly": True}]
    if config.mounts_a_volume:
        claim = {"claimName": config.claim, "readOnly": True}
        volumes.append({"name": "models", "persistentVolumeClaim": claim})
        mounts.append({"name": "models", "mountPath": config.models, "readOnly": True})
    # A version answers for its metadata once it is loaded and warm, and not before.
    loaded = {"httpGet": {"path": f"/v1/models/{name}/metadata", "port": "rest"}}
    container: Manifest = {
        "name": "tensorflow-serving",
        "image": config.image,
        "command": ["tensorflow_model_server"],
        "args": arguments(config),
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT},
            {"name": "rest", "containerPort": REST_PORT},
        ],
        "resources": {
            "requests": {"cpu": _cpus(config.cpu), "memory": config.memory},
            "limits": {"cpu": _cpus(config.cpu), "memory": config.memory},
        },
        "startupProbe": {**loaded, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**loaded, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {
            "httpGet": {"path": f"/v1/models/{name}", "port": "rest"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    # The server ends the moment that it is told to, and drops what it has not answered. So it
    # is told only when nothing new has come for as long as a request may take.
    drained = DRAIN_SECONDS + math.ceil(config.request_seconds)
    container["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(drained)]}}}
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(REST_PORT),
        "prometheus.io/path": METRICS,
        # Other files are other pods, each of which serves once its version is loaded.
        "seq2seq-tfx/files": _digest(files),
    }
    spec: Manifest = {
        "selector": {"matchLabels": _labels(name, label)},
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {"labels": _labels(name, label), "annotations": annotations},
            "spec": {
                "containers": [container],
                "volumes": volumes,
                "terminationGracePeriodSeconds": drained + 10,
            },
        },
    }
    if label == CANARY:  # the number of the others is the autoscaler's
        spec["replicas"] = 1 if config.canary_percent else 0
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _service(config: DeploymentConfig, name: str, label: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _named(config, name, label),
        "spec": {
            "selector": _labels(name, label),
            "ports": [
                {
                    "name": "grpc",
                    "port": GRPC_PORT,
                    "targetPort": "grpc",
                    "appProtocol": "kubernetes.io/h2c",  # for gateways
                },
                {"name": "rest", "port": REST_PORT, "targetPort": "rest"},
            ],
        },
    }


def _autoscaler(config: DeploymentConfig, name: str, label: str) -> Manifest:
    metadata = _named(config, name, label)
    busy = {"type": "Utilization", "averageUtilization": config.busy_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": metadata["name"],
            },
            "minReplicas": config.replicas,
            "maxReplicas": config.most_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": busy}}],
        },
    }


def _disruption_budget(config: DeploymentConfig, name: str, label: str) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _named(config, name, label),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels(name, label)}},
    }


def _route(config: DeploymentConfig, gateway: str, name: str, labels: list[str]) -> Manifest:
    """How a gateway divides requests among the labels.

    One route for both interfaces: of an HTTPRoute and a GRPCRoute on one listener a
    gateway may accept one alone.
    """
    metadata = _named(config, name, "requests")
    canary = config.canary_percent if CANARY in labels else 0

    def servers(port: int) -> list[Manifest]:
        return [
            {
                "name": _named(config, name, label)["name"],
                "port": port,
                "weight": canary if label == CANARY else 100 - canary,
            }
            for label in labels
        ]

    of_grpc = [
        {"path": {"type": "PathPrefix", "value": f"/tensorflow.serving.{service}"}}
        for service in _SERVICES
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {key: metadata[key] for key in ("name", "namespace")},
        "spec": {
            "parentRefs": [{"name": gateway}],
            "rules": [
                {"matches": of_grpc, "backendRefs": servers(GRPC_PORT)},
                {"backendRefs": servers(REST_PORT)},
            ],
        },
    }


def _digest(files: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def _cpus(number: float) -> str:
    """As Kubernetes writes it: thousandths."""
    return f"{round(1000 * number)}m"
