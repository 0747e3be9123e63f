"""The commands about serving: serve, versions, deployment, bench-serving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .cli_common import ERROR, asks_a_job, asks_a_model, fail, refuse, say

if TYPE_CHECKING:
    from ..serving.promotion import Follow, Promotion

PORT = click.IntRange(0, 65535)
COUNT = click.IntRange(min=1)

Command = Callable[..., Any]


@click.command()
@asks_a_model
@click.option("--name", default="seq2seq", show_default=True, help="Under which it answers.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--grpc-port", type=PORT, default=8500, show_default=True, help="0: any.")
@click.option("--rest-port", type=PORT, default=8501, show_default=True, help="0: any.")
@click.option(
    "--model-config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TensorFlow Serving's model configuration: version policy and labels.",
)
@click.option("--batch-rows", type=COUNT, default=32, show_default=True, help="Decoded together.")
@click.option("--queue-rows", type=COUNT, default=256, show_default=True, help="Waiting at most.")
@click.option(
    "--queue-seconds",
    type=click.FloatRange(min=0),
    default=0.3,
    show_default=True,
    help="That the queue may take, once 128 rows are in hand.",
)
@click.option("--timeout", type=COUNT, default=30, show_default=True, help="Seconds a request.")
@click.option(
    "--load-timeout", type=COUNT, default=300, show_default=True, help="Seconds a new version."
)
@click.option(
    "--grace", type=COUNT, default=30, show_default=True, help="Seconds to end, once told to."
)
@click.option("--log-text", is_flag=True, help="Let the log have the text of requests.")
def serve(
    model: Path | None,
    output: Path,
    name: str,
    host: str,
    grpc_port: int,
    rest_port: int,
    model_config: Path | None,
    batch_rows: int,
    queue_rows: int,
    queue_seconds: float,
    timeout: int,
    load_timeout: int,
    grace: int,
    log_text: bool,
) -> None:
    """Serve pushed versions as TensorFlow Serving does, on this machine.

    New versions are loaded as they are pushed. --model names one version, or a folder
    of versions. SIGTERM and Ctrl-C end it with code 0, after it has answered.
    """
    from ..serving.local_model import ModelError
    from ..serving.server.limits import Limits
    from ..serving.server.model_config import ModelConfigError
    from ..serving.server.server import CannotServe
    from .serve_command import serve_model

    try:
        serve_model(
            model,
            output,
            log_text,
            name=name,
            model_config=model_config,
            host=host,
            grpc_port=grpc_port,
            rest_port=rest_port,
            limits=Limits(
                batch_rows=batch_rows,
                queue_rows=queue_rows,
                queue_seconds=queue_seconds,
                seconds=float(timeout),
            ),
            load_seconds=load_timeout,
            grace_seconds=grace,
        )
    except (ModelError, ModelConfigError, CannotServe) as error:
        fail(str(error), ERROR)


@click.command("bench-serving")
@click.option("--server", required=True, help="HOST:PORT by gRPC, http://HOST:PORT by REST.")
@click.option("--name", default="seq2seq", show_default=True, help="The model's.")
@click.option(
    "--sources",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="What is sent: a source a line, or pairs of a job.",
)
@click.option("--rates", default="10,20,50,100,200", show_default=True, help="Requests a second.")
@click.option("--seconds", type=COUNT, default=10, show_default=True, help="For each rate.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("load"),
    show_default=True,
    help="Where the figures and pictures go: a name without .json, .svg and .png.",
)
def bench_serving(
    server: str, name: str, sources: Path, rates: str, seconds: int, to: Path
) -> None:
    """Load a server at fixed rates, and draw its latencies.

    Requests come at random times and do not wait for each other.
    """
    from ..serving.local_model import ModelError
    from .bench_serving_command import CannotMeasure, bench

    try:
        bench(server, name, sources, rates, seconds, to)
    except (ModelError, CannotMeasure) as error:
        fail(str(error), ERROR)


@click.command()
@asks_a_job
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("deployment"),
    show_default=True,
    help="A folder for the files.",
)
def deployment(config_path: Path, output: Path | None, to: Path) -> None:
    """Write what TensorFlow Serving in production is started with.

    Its configuration of models, batching and monitoring, a container file and Kubernetes
    manifests: stable servers, and a canary where a version has that label.
    """
    from ..serving.deployment_check import DeploymentError, check_name, doubts
    from ..serving.kubernetes import deletion
    from ..serving.production import remove_canary, write_files
    from ..serving.promotion import CANARY, PromotionError, read
    from .binding import serving_dir
    from .config import ConfigurationError, load_config

    try:
        config = load_config(config_path, files=False)
    except ConfigurationError as error:
        refuse(error)
    base = serving_dir(config, output or config.output)
    try:
        check_name(base.name)
        promoted = read(base)
        for path in write_files(config.deployment, base.name, promoted, to):
            click.echo(path)
        if CANARY not in promoted.labels and remove_canary(to):
            what = deletion(config.deployment, base.name, CANARY)
            say(f"no version is the canary any more; where one runs: {what}", err=True)
        for doubt in doubts(config.deployment, base, promoted):
            say(f"{click.style('warning: ', fg='yellow')}{doubt}", err=True)
    except DeploymentError as error:
        fail(str(error), 2)
    except (PromotionError, OSError) as error:
        fail(str(error), ERROR)


@click.group()
def versions() -> None:
    """Choose which pushed version servers answer with."""


@versions.command("list")
@asks_a_model
def versions_list(model: Path | None, output: Path) -> None:
    """Show pushed versions and their labels."""
    _versions(model, output, lambda base: None)


def _follows(command: Command) -> Command:
    """The options of a command that moves a label which servers follow."""
    base_path = click.option(
        "--base-path", default="", help="The folder's place where it is served."
    )
    servers = click.option(
        "--server",
        "servers",
        multiple=True,
        help="HOST:PORT of gRPC, also several times: the label moves once it has loaded the "
        "version. A TensorFlow Serving that runs needs that.",
    )
    seconds = click.option(
        "--seconds", type=COUNT, default=300, show_default=True, help="For each step of servers."
    )
    return base_path(servers(seconds(command)))


@versions.command("promote")
@click.argument("version", type=COUNT)
@asks_a_model
@click.option("--label", default="stable", show_default=True, help="Such as canary.")
@_follows
def versions_promote(
    version: int,
    model: Path | None,
    output: Path,
    label: str,
    base_path: str,
    servers: tuple[str, ...],
    seconds: int,
) -> None:
    """Give VERSION a label in the model configuration of servers."""
    from ..serving.promotion import promote

    _versions(
        model,
        output,
        lambda base: promote(base, version, label, base_path, _follow(base, servers, seconds)),
        servers,
    )


@versions.command("rollback")
@asks_a_model
@_follows
def versions_rollback(
    model: Path | None, output: Path, base_path: str, servers: tuple[str, ...], seconds: int
) -> None:
    """Make the version stable that was so before."""
    from ..serving.promotion import roll_back

    _versions(
        model,
        output,
        lambda base: roll_back(base, base_path, _follow(base, servers, seconds)),
        servers,
    )


@versions.command("withdraw")
@click.argument("label")
@asks_a_model
def versions_withdraw(label: str, model: Path | None, output: Path) -> None:
    """Take LABEL away, such as that of a canary that failed."""
    from ..serving.promotion import withdraw

    _versions(model, output, lambda base: withdraw(base, label))


def _follow(base: Path, servers: tuple[str, ...], seconds: int) -> Follow | None:
    """Waits until servers have done what the file says."""
    from ..serving.following import wait_until_followed

    if not servers:
        return None
    return lambda labels, versions: wait_until_followed(
        servers, base.name, labels, versions, seconds
    )


def _versions(
    model: Path | None,
    output: Path,
    change: Callable[[Path], Promotion | None],
    servers: tuple[str, ...] = (),
) -> None:
    from ..serving.local_model import ModelError
    from ..serving.promotion import PromotionError, read, unannounced
    from .versions_command import folder_of, print_versions

    try:
        base = folder_of(model, output)
        before = read(base)
        after = change(base)
        print_versions(base, after)
    except (ModelError, PromotionError) as error:
        fail(str(error), ERROR)
    for version in unannounced(before, after or before) if not servers else ():
        say(
            f"{click.style('note: ', fg='yellow')}a TensorFlow Serving that runs had not loaded "
            f"version {version}, refuses this file and keeps what it has until it is started "
            f"anew; with --server HOST:PORT a label moves once the version is loaded",
            err=True,
        )
