"""The part of the `seq2seq` command about training in several processes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .cli_common import ERROR, EXIT_CODES, STOPPED, asks_a_job, fail, failure, refuse


@click.command("train-worker", epilog=EXIT_CODES)
@asks_a_job
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=3600.0,
    show_default=True,
    help="Seconds to wait for the Trainer of the chief's run.",
)
def train_worker(config_path: Path, output: Path | None, wait: float) -> None:
    """Train beside a `seq2seq run`, as one of the workers that TF_CONFIG names.

    The run of the chief has the same TF_CONFIG but for its task, and the same output
    folder, on a disk that both see. docs/training.md has an example.
    """
    from ..components import interruption
    from ..components.errors import reason_of
    from ..components.workers import follow

    if output is None:
        from .config import ConfigurationError, load_config

        try:
            output = load_config(config_path, files=False).output
        except ConfigurationError as error:
            refuse(error)
    with interruption.stoppable():
        try:
            follow(output, wait, click.echo)
        except interruption.Interrupted as error:
            failure(str(error))
            sys.exit(STOPPED + (interruption.asked() or 15))
        except Exception as error:
            fail(reason_of(error), ERROR)
    click.echo("done: the chief exports the model")
