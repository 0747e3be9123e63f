"""The command that looks at runs: dashboard."""

from __future__ import annotations

from pathlib import Path

import click

from .cli_common import ERROR, fail


@click.command()
@click.argument("outputs", metavar="[OUTPUT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8502, show_default=True, help="0: any."
)
def dashboard(outputs: tuple[Path, ...], host: str, port: int) -> None:
    """Look at runs in a browser: verdicts, metrics, comparisons, sentences, models.

    OUTPUT is the output folder of a job, or a folder of such; without one, `output`.
    Nobody is asked for a password: on another address than loopback whoever reaches the
    port reads the test data.
    """
    from .dashboard_command import CannotShow, serve_dashboard

    try:
        serve_dashboard(outputs or (Path("output"),), host, port)
    except CannotShow as error:
        fail(str(error), ERROR)
