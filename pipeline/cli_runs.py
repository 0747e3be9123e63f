"""The commands about unattended runs: runs, gc, schedule."""

from __future__ import annotations

from pathlib import Path

import click

from .cli_common import BUSY, ERROR, EXIT_CODES, asks_a_job, fail, refuse

OUTPUT = click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The output folder of a job, such as output/NAME.",
)


@click.command()
@OUTPUT
@click.option("--last", type=click.IntRange(min=0), default=20, show_default=True, help="0: all.")
@click.option("--lineage", metavar="VERSION", help="What a pushed version was learned from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def runs(output: Path, last: int, lineage: str | None, as_json: bool) -> None:
    """List the runs of an output folder: spans, verdict, pushed version, components.

    A verdict is one of: pushed, not blessed, data gate, failed, stopped, running.
    """
    from .lineage import UnknownVersion
    from .run_records import NoRuns
    from .runs_command import print_lineage, print_runs

    try:
        if lineage:
            print_lineage(output, lineage, as_json)
        else:
            print_runs(output, last or None, as_json)
    except (NoRuns, UnknownVersion) as error:
        fail(str(error), ERROR)


@click.command(epilog=EXIT_CODES)
@OUTPUT
@click.option("--keep", type=click.IntRange(min=1), default=10, show_default=True, help="Runs.")
@click.option("--dry-run", is_flag=True, help="Only say what would go, and how much.")
def gc(output: Path, keep: int, dry_run: bool) -> None:
    """Remove what only older runs need.

    What stays: the last runs with all they made and read, the models that these began with,
    the last blessed model, every version that has a label, was stable before, or is the
    newest, with its model and its other forms, such forms themselves, and all metadata. Killed
    half way, it is gone on with by the same command.
    """
    from ..serving.promotion import PromotionError
    from .cleanup import CannotClean
    from .gc_command import collect
    from .run_folder import OutputBusy
    from .run_records import NoRuns

    try:
        collect(output, keep, dry_run)
    except OutputBusy as error:
        fail(str(error), BUSY)
    except (NoRuns, CannotClean, PromotionError, OSError) as error:
        fail(str(error), ERROR)


@click.command()
@click.argument("kind", type=click.Choice(["cron", "systemd", "airflow"]))
@asks_a_job
@click.option("--at", default="02:30", show_default=True, help="The time of day.")
@click.option("--keep", type=click.IntRange(min=1), default=14, show_default=True, help="Of gc.")
@click.option(
    "--tasks",
    type=click.Choice(["pipeline", "components"]),
    default="pipeline",
    show_default=True,
    help="Of airflow: one task for the pipeline, or one for each component.",
)
@click.option(
    "--timezone",
    help="Of airflow: the zone of --at, such as Europe/Berlin.  [default: this machine's]",
)
def schedule(
    kind: str,
    config_path: Path,
    output: Path | None,
    at: str,
    keep: int,
    tasks: str,
    timezone: str | None,
) -> None:
    """Write files that run a job every night, and say how to install them.

    They go into the working directory, where the job's paths start. --at is a time of this
    machine's clock, for airflow too unless --timezone says otherwise. Each night, logs are
    rotated, the job is run, and `gc` removes what only older runs need.
    """
    from .config_file import ConfigurationError
    from .schedule_command import (
        CannotSchedule,
        job_of,
        local_timezone,
        with_components,
        write_schedule,
    )

    if tasks == "components" and kind != "airflow":
        raise click.UsageError(f"--tasks components is for airflow, received {kind}")
    if timezone and kind != "airflow":
        raise click.UsageError(f"--timezone is for airflow: {kind} goes by this machine's clock")
    try:
        zone = (timezone or local_timezone()) if kind == "airflow" else None
        job = job_of(config_path, output, at, keep, zone)
        job = with_components(job) if tasks == "components" else job
        click.echo(write_schedule(kind, job))
    except ConfigurationError as error:
        refuse(error)
    except CannotSchedule as error:
        fail(str(error), 2)
    except OSError as error:
        fail(str(error), ERROR)
