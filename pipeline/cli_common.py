"""What the files of the command line share: exit codes, options, and how a command fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from .config import PipelineConfig
    from .config_file import ConfigurationError

ERROR = 1
WRONG = 2  # as click has it
NOT_RELEASED = 3
BUSY = 4
DATA_GATE = 5
TO_MEND = 6
STOPPED = 128  # and the signal's number, as shells have it

EXIT_CODES = f"""
\b
Exit codes:
  0  done; for `run`: the model was blessed and pushed
  {ERROR}  an error: the message and the log say which
  {WRONG}  the command line or the configuration is wrong; nothing was run
  {NOT_RELEASED}  the run went through, and the model was not blessed or not servable;
     for `data check`: no pair was kept, or a limit of `data_validation` does not hold
  {BUSY}  another run is using the output folder
  {DATA_GATE}  the data gate stopped the run: its pairs are not what they must be, and
     nothing was learned from them
  {TO_MEND}  `run` failed of something that the message says how to mend: trying again
     would end in the same way
  130, 143  stopped by SIGINT or SIGTERM; the next run goes on from there
"""


def asks_a_model(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that answers with a pushed model."""
    model = click.option(
        "--model",
        type=click.Path(path_type=Path, file_okay=False),
        help="A pushed version.  [default: the newest below --output]",
    )
    output = click.option(
        "--output",
        type=click.Path(path_type=Path),
        default=Path("output"),
        show_default=True,
        help="Where to look for pushed models.",
    )
    return model(output(command))


asks_a_configuration = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("pipeline_config.yaml"),
    show_default=True,
    help="The job.",
)


def _is_here(context: click.Context, option: click.Parameter, value: Path | None) -> Path | None:
    from .runner_config import is_elsewhere

    if value and is_elsewhere(str(value)):
        raise click.BadParameter(f"expected a folder of this machine, received {value}")
    return value


def asks_a_job(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command about a job: its configuration and its output folder."""
    output = click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_is_here,
        help="Where all that its runs make goes.  [default: runner.output, or output/NAME]",
    )
    return asks_a_configuration(output(command))


def refuse_elsewhere(config: PipelineConfig, path: Path) -> None:
    """Refuses a job whose workers would look in vain for the files of this machine.

    Raises:
      ConfigurationError: it is one.
    """
    from .config_file import ConfigurationError

    if config.runner.beam.runner == "dataflow":
        raise ConfigurationError(
            [
                f"{path}: runner.beam: expected a runner whose workers see this machine's files, "
                "received dataflow; see docs/runners.md"
            ]
        )


def refuse_pattern(output: Path) -> None:
    """Refuses an output folder in which TFX, which looks artifacts up by patterns, finds none.

    Raises:
      ConfigurationError: it is one.
    """
    from .config_file import ConfigurationError

    if set("*?[") & set(str(output.absolute())):
        raise ConfigurationError(
            [
                f"the output folder: expected a path without '*', '?' and '[', which TFX reads as "
                f"a pattern, received {output.absolute()}; choose another by --output"
            ]
        )


def refuse(error: ConfigurationError) -> NoReturn:
    """Ends the command with all problems of a configuration."""
    count = len(error.problems)
    plural = "problems" if count > 1 else "problem"
    fail(f"{count} {plural} in the configuration:\n{error}", WRONG)


def fail(message: str, code: int) -> NoReturn:
    """Ends the command with an error."""
    failure(message)
    sys.exit(code)


def failure(message: str) -> None:
    """Tells an error."""
    say(f"{click.style('error: ', fg='red')}{message}", err=True)


def say(message: str, err: bool = False) -> None:
    """Tells people something; a log on a full disk, say, stops nothing.

    Args:
      message: a line or several.
      err: whether it is for standard error.
    """
    with suppress(OSError):
        click.echo(message, err=err)
