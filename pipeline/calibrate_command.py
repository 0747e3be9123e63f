"""Trains a job with one seed after another, and says which margins its gate needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ..components.calibration import Calibration, calibrate
from ..components.judgement import Bounds
from ..components.sentence_files import read_record, read_statistics
from ..components.sentences import CANDIDATE
from ..components.slices import SET
from ..models import features
from .calibration_record import FOLDER, write_calibrations
from .config import PipelineConfig
from .runners import run_pipeline
from .unattended import resolved, spans_due

NEVER = Bounds(min=1e30)  # so that no training is the baseline of another, and decoded again


class CannotCalibrate(Exception):
    """The gate has nothing to calibrate."""


def calibrate_gate(config: PipelineConfig, output: Path, seeds: range) -> list[Calibration]:
    """Trains with each seed in a folder of its own, and compares all with all.

    Each reads what the next run of the job would, and begins with the same model.
    What is unchanged comes from that folder's cache, so more seeds can be added later.

    Args:
      config: the job.
      output: of the job; the trainings are in its folder `calibration`.
      seeds: of the trainings.

    Raises:
      CannotCalibrate: no metric has a margin, or there is one seed alone.
      PipelineError: data has spans, and there is none.
      RunFailed, RunStopped, OutputBusy: of `run_pipeline`.
    """
    metrics = [str(name) for name in config.gate.max_loss]
    if not metrics:
        raise CannotCalibrate("gate.max_loss: expected a metric with a margin, found none")
    if len(seeds) < 2:
        raise CannotCalibrate(f"expected two seeds or more, received {len(seeds)}")
    configured, config = config, resolved(config, output, spans_due(config, output)[-1])
    folder = output / FOLDER
    found: dict[str, dict[int, np.ndarray]] = {name: {} for name in metrics}
    for seed in seeds:
        Console().print(f"training {1 + seed - seeds.start} of {len(seeds)}, seed {seed}")
        summary = run_pipeline(_with_seed(config, seed), folder)
        measures = read_record(str(summary.sentences))["measures"]
        statistics = read_statistics(str(summary.sentences), measures)
        whole = statistics.where(SET, features.TEST).measures[CANDIDATE]
        for name in metrics:
            found[name][seed] = whole[name]
    calibrations = [calibrate(found[name], name, config.gate) for name in metrics]
    write_calibrations(configured, output, seeds, calibrations)
    return calibrations


def print_calibrations(calibrations: list[Calibration]) -> None:
    """Prints the spread of each metric, and which margin would leave room for it."""
    table = Table(
        "metric", "mean", "deviation", "range", "margin", "held back", "suggested margin",
        title="trainings that differ in their seed alone", title_justify="left",
    )  # fmt: skip
    for one in calibrations:
        figures = np.array(one.figures)
        table.add_row(
            one.metric,
            *_spread(figures),
            "" if one.margin is None else f"{one.margin:g}",
            "" if one.alarms is None else f"{one.alarms:.1%} of {one.pairs} pairs",
            "none: no number" if one.suggested is None else f"{one.suggested:g}",
        )
    Console(highlight=False, soft_wrap=True).print(table)


def _spread(figures: np.ndarray) -> tuple[str, str, str]:
    """Mean, deviation and range in words."""
    if not np.isfinite(figures).all():
        return "no number", "", ""
    ends = f"{figures.min():.4g} to {figures.max():.4g}"
    return f"{figures.mean():.4g}", f"{figures.std(ddof=1):.2g}", ends


def _with_seed(config: PipelineConfig, seed: int) -> PipelineConfig:
    training = config.training.model_copy(update={"seed": seed})
    thresholds = dict.fromkeys(config.gate.thresholds, NEVER)
    gate = config.gate.model_copy(update={"thresholds": thresholds, "max_loss": {}, "critical": {}})
    return config.model_copy(update={"training": training, "gate": gate})
