"""The commands about data: `seq2seq data NAME` for each shipped data set, and `data check`."""

from __future__ import annotations

from pathlib import Path

import click

from .cli_common import ERROR, EXIT_CODES, NOT_RELEASED, fail, refuse


@click.group()
def data() -> None:
    """Obtain the data of the shipped jobs, or check your own."""


@data.command("check", epilog=EXIT_CODES)
@click.argument("inputs", metavar="INPUT...", nargs=-1)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="A job, for its `data` section.  [default: the defaults of each key]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where kept and rejected pairs and the report go.  [default: nowhere]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--format", "file_format", help="Of the files.  [default: by their names]")
@click.option(
    "--languages",
    nargs=2,
    metavar="SOURCE TARGET",
    help="Which of a file with several, such as: en de",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="The report.json of an earlier check, to tell the drift from it.",
)
def data_check(
    inputs: tuple[str, ...],
    config_path: Path | None,
    output: Path | None,
    as_json: bool,
    file_format: str | None,
    languages: tuple[str, str] | None,
    against: Path | None,
) -> None:
    """Read and clean pairs, and tell what was kept and what was rejected, and why.

    INPUT is a path or a glob; without one, those of the configuration. Two files of
    unknown kind, or files with `--format aligned`, are aligned text: source, target.
    """
    if not inputs and config_path is None:
        raise click.UsageError("expected INPUT... or --config")
    from ..components.errors import PipelineError, reason_of
    from .check_command import check_config, run_check, statistics_of
    from .config_file import ConfigurationError

    settings: dict[str, object] = {"format": file_format} if file_format else {}
    if languages:
        settings["languages"] = dict(zip(("source", "target"), languages, strict=True))
    try:
        config = check_config(config_path, inputs, settings)
        before = statistics_of(against) if against else None
    except ConfigurationError as error:
        refuse(error)
    try:
        faults = run_check(config, output, as_json, before)
    except (PipelineError, OSError, RuntimeError) as error:
        fail(reason_of(error), ERROR)
    if faults:
        fail("\n".join(faults), NOT_RELEASED)


def _add_datasets() -> None:
    from .datasets import DATASETS

    for name, dataset in DATASETS.items():

        @data.command(name, help=f"{dataset.description} Licence: {dataset.licence}")
        @click.option(
            "--output",
            type=click.Path(path_type=Path, file_okay=False),
            help="Where it goes.  [default: where the shipped jobs read it]",
        )
        def obtain_one(output: Path | None, name: str = name) -> None:
            from .data_command import obtain
            from .datasets import DataUnavailable

            try:
                obtain(name, output)
            except DataUnavailable as error:
                fail(str(error), ERROR)


_add_datasets()
