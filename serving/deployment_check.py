"""What would go wrong where versions are served, said when the files for it are made."""

from __future__ import annotations

import re
from pathlib import Path

from .production import DeploymentConfig
from .promotion import CANARY, STABLE, Promotion
from .server.version_folder import SAVED_MODEL, versions_in

# Of a Service and of the value of a label, with what is put behind it (`-requests`).
_NAME = re.compile(r"[A-Za-z]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
LONGEST = 63 - len("-requests")
_TAG = re.compile(r":(\d+)\.(\d+)[^/]*$")


class DeploymentError(Exception):
    """A model cannot be served as the configuration has it."""


def check_name(name: str) -> None:
    """Refuses a model whose name Kubernetes does not take.

    Raises:
      DeploymentError: with what it takes.
    """
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        raise DeploymentError(
            f"model_name: expected at most {LONGEST} letters, digits, '-', '_' and '.', the first "
            f"a letter and the last a letter or digit, as Kubernetes has it; received '{name}'"
        )


def doubts(config: DeploymentConfig, base: Path, promoted: Promotion) -> list[str]:
    """What is likely not meant, a sentence each.

    Args:
      config: the `deployment` section.
      base: the folder of the pushed versions.
      promoted: which version has which label.
    """
    found = []
    if CANARY in promoted.labels and not config.gateway:
        found.append(
            f"deployment.gateway is not set: no requests are divided, and the canary gets those "
            f"to its own Service alone, not {config.canary_percent} % (canary_percent)"
        )
    served = set(promoted.labels.values())
    if STABLE not in promoted.labels:
        served |= set(versions_in(base)[:1])
    tag = _TAG.search(config.image)
    for version in sorted(served):
        exporter = exported_by(base / str(version))
        if tag and exporter and (int(tag[1]), int(tag[2])) < exporter:
            found.append(
                f"deployment.image: {config.image} is older than the TensorFlow "
                f"{exporter[0]}.{exporter[1]} that exported version {version}. TensorFlow does "
                f"not promise that it loads: try it there, or name a newer image"
            )
    return found


def exported_by(directory: Path) -> tuple[int, int] | None:
    """The TensorFlow that exported a version, as (major, minor); None where that is not told."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        content = (directory / SAVED_MODEL).read_bytes()
        graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    except (OSError, DecodeError):
        return None
    told = re.match(r"(\d+)\.(\d+)", graphs[0].meta_info_def.tensorflow_version if graphs else "")
    return (int(told[1]), int(told[2])) if told else None
