"""Where a training computes: `training.distribution`, and what it needs of the machine."""

from __future__ import annotations

import json
import os
from typing import Literal, NamedTuple

import tensorflow as tf

from .errors import PipelineError

Distribution = Literal["auto", "cpu", "one_gpu", "mirrored", "multi_worker", "tpu"]
NO_TPU = (
    "distribution: tpu: expected a way to train on TPUs, and there is none yet. It needs a TPU "
    "system set up before anything else (TensorFlow's TPUClusterResolver and "
    "initialize_tpu_system), batches of few fixed shapes, and a TPU to prove it on. Choose auto, "
    "cpu, one_gpu, mirrored or multi_worker"
)
TF_CONFIG = "TF_CONFIG"  # how TensorFlow tells a process of its cluster


class Cluster(NamedTuple):
    """Who trains together, as TF_CONFIG says it."""

    addresses: list[str]  # host:port; the chief's is the first
    place: int  # of this process


def cluster() -> Cluster | None:
    """The cluster that this process is of; None where TF_CONFIG is not set.

    Raises:
      PipelineError: TF_CONFIG is not what TensorFlow defines.
    """
    given = os.environ.get(TF_CONFIG)
    if not given:
        return None
    try:
        read = json.loads(given)
        jobs, task = read["cluster"], read["task"]
        chiefs, others = list(jobs.get("chief", [])), list(jobs.get("worker", []))
        index = int(task["index"]) + (len(chiefs) if task["type"] == "worker" else 0)
        if task["type"] not in ("chief", "worker") or not 0 <= index < len(chiefs + others):
            raise ValueError(f"there is no task {task}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(
            'TF_CONFIG: expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}, with a chief or without; received {given!r} ({error})'
        ) from error
    return Cluster(chiefs + others, index)


def resolve(asked: Distribution) -> Distribution:
    """What `auto` is here, and whether what is asked for is there.

    Returns:
      Any but `auto`, and `tpu`, which the configuration refuses. `cpu` is the plain path
      where there is nothing else.

    Raises:
      PipelineError: the machine has not what is asked for.
    """
    if asked == "auto":
        if os.environ.get(TF_CONFIG):
            return "multi_worker"
        gpus = len(tf.config.list_logical_devices("GPU"))
        return "mirrored" if gpus > 1 else "one_gpu" if gpus else "cpu"
    if asked == "multi_worker" and not os.environ.get(TF_CONFIG):
        raise PipelineError(
            "training.distribution: multi_worker: expected TF_CONFIG in the environment, with the "
            "addresses of all workers and this process's place among them; found none. "
            "docs/training.md shows one"
        )
    if asked == "one_gpu":
        _expect("GPU", 1, asked)
    if asked == "mirrored" and len(tf.config.list_logical_devices("CPU")) < 2:
        _expect("GPU", 2, asked)
    return asked


def devices_of(distribution: Distribution) -> list[str]:
    """The names of the devices that share each batch, or of the one that has all of it.

    None are named where TensorFlow's own choice is the right one.
    """
    if distribution == "mirrored":
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [device.name for device in found]
    if distribution == "cpu" and tf.config.list_logical_devices("GPU"):
        return ["/CPU:0"]
    return []


def _expect(kind: str, count: int, asked: str) -> None:
    """Raises unless TensorFlow sees so many devices of a kind."""
    found = tf.config.list_logical_devices()
    if sum(device.device_type == kind for device in found) >= count:
        return
    needs = f"{count} {kind}s" if count > 1 else f"a {kind}"
    raise PipelineError(
        f"training.distribution: {asked}: expected {needs} that TensorFlow can use, found devices "
        f"{', '.join(device.name for device in found)} (TensorFlow {tf.__version__}, "
        f"{'with' if tf.test.is_built_with_cuda() else 'without'} CUDA). Set auto or cpu, or "
        "install the driver and, for GPUs, TensorFlow with its CUDA libraries "
        "(pip install 'tensorflow[and-cuda]', of the same version)"
    )
