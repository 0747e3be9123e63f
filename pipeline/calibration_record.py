"""What `seq2seq gate calibrate` found of a job, kept beside its runs, and what they say of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..components.calibration import Calibration
from .config import PipelineConfig

FOLDER, RECORD = "calibration", "calibration.json"


def write_calibrations(
    config: PipelineConfig, output: Path, seeds: range, found: Sequence[Calibration]
) -> None:
    """Keeps what was found.

    Args:
      config: the job as it is configured, whatever its spans are now.
      output: of the job.
      seeds: of the trainings.
      found: of each metric.
    """
    metrics = [one._asdict() for one in found]
    record = {"job": _digest(config), "seeds": list(seeds), "metrics": metrics}
    path = output / FOLDER / RECORD
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def told_of_margins(config: PipelineConfig, output: Path, verdict: dict[str, Any]) -> list[str]:
    """What to know of the margins by which a verdict compared two models.

    Args:
      config: the job as it is configured.
      output: of the job.
      verdict: of its run; one without a comparison has nothing to be told.
    """
    if verdict["baseline"] is None:
        return []
    known = _measured(config, output)
    told, missing = [], []
    for name, margin in config.gate.max_loss.items():
        if name not in known:
            missing.append(str(name))
            continue
        seeds, suggested = known[name]
        if suggested is None or suggested > margin:
            needs = "no margin lets" if suggested is None else f"it takes {suggested:g} to let"
            told.append(
                f"the margin {margin:g} of {name} is narrow: by {seeds} seeds {needs} "
                f"{config.gate.confidence:.0%} of equally good trainings pass"
            )
    if missing:
        told.append(
            f"the margin of {', '.join(missing)} was not measured for this job as it is: "
            "trainings that differ in their seed alone may need a wider one; "
            "`seq2seq gate calibrate` tells"
        )
    return told


def _measured(config: PipelineConfig, output: Path) -> dict[str, tuple[int, float | None]]:
    """By metric the seeds and the suggested margin; of another job or an older one nothing."""
    try:
        record = json.loads((output / FOLDER / RECORD).read_text(encoding="utf-8"))
        if record["job"] != _digest(config):
            return {}
        seeds = len(record["seeds"])
        return {one["metric"]: (seeds, one["suggested"]) for one in record["metrics"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest(config: PipelineConfig) -> str:
    """Of all that decides how far trainings are apart, and what the gate makes of it."""
    decides = {"data", "tokenizer", "model", "training", "search", "evaluation"}
    settings = config.model_dump(mode="json", include=decides)
    del settings["training"]["seed"]
    settings["confidence"] = config.gate.confidence
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
