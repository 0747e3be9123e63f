"""What an exported model costs whoever serves it: its size, and the time of one sentence."""

from __future__ import annotations

import json
import math
import os
from typing import Any, NamedTuple

import tensorflow as tf
from tfx.dsl.io import fileio

from .infra_validator import REPORT


class Cost(NamedTuple):
    """Of one export; a figure that was not measured is no number."""

    size_mb: float = math.nan  # 10^6 bytes of all its files
    latency_ms: float = math.nan  # the median of one sentence: see `InfraValidator`
    sources: int = 0  # of which that is the median


def measure_cost(model_dir: str, infra_uri: str | None) -> Cost:
    """Reads what an export takes.

    Args:
      model_dir: of the SavedModel.
      infra_uri: of InfraValidator's blessing, beside which its report lies.
    """
    size = sum(
        tf.io.gfile.stat(os.path.join(folder, name)).length
        for folder, _, names in tf.io.gfile.walk(model_dir)
        for name in names
    )
    report: dict[str, Any] = {}
    if infra_uri:
        with fileio.open(os.path.join(infra_uri, REPORT)) as file:
            report = json.loads(file.read())
    latency = report.get("latency_ms")
    return Cost(size / 1e6, math.nan if latency is None else latency, report.get("timed", 0))
