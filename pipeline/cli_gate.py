"""The commands about the gate: calibrate."""

from __future__ import annotations

from pathlib import Path

import click

from .cli_common import (
    BUSY,
    ERROR,
    STOPPED,
    asks_a_job,
    fail,
    refuse,
    refuse_elsewhere,
    refuse_pattern,
)


@click.group()
def gate() -> None:
    """Look at the gate of a job."""


@gate.command("calibrate")
@asks_a_job
@click.option("--seeds", type=click.IntRange(min=2), default=5, show_default=True, help="How many.")
def gate_calibrate(config_path: Path, output: Path | None, seeds: int) -> None:
    """Train with several seeds, and tell which margin such trainings need.

    Each takes as long as a run. Nothing is pushed. The margin that is suggested lets
    equally good models pass as often as the gate is confident.
    """
    from ..components.errors import PipelineError
    from .calibrate_command import CannotCalibrate, calibrate_gate, print_calibrations
    from .config import ConfigurationError, load_config
    from .run_folder import OutputBusy
    from .runners import RunFailed, RunStopped

    try:
        config = load_config(config_path)
        refuse_elsewhere(config, config_path)
        output = output or config.output
        refuse_pattern(output)
    except ConfigurationError as error:
        refuse(error)
    try:
        print_calibrations(calibrate_gate(config, output, range(1, 1 + seeds)))
    except OutputBusy as error:
        fail(str(error), BUSY)
    except RunStopped as error:
        fail(f"stopped by {error}", STOPPED + error.number)
    except (RunFailed, CannotCalibrate, PipelineError) as error:
        fail(str(error), ERROR)
