"""The `seq2seq` command. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cli_common import (
    ERROR,
    EXIT_CODES,
    STOPPED,
    asks_a_job,
    asks_a_model,
    fail,
    refuse,
    refuse_elsewhere,
    refuse_pattern,
    say,
)
from .cli_compile import compile_
from .cli_dashboard import dashboard
from .cli_data import data
from .cli_gate import gate
from .cli_runs import gc, runs, schedule
from .cli_serving import bench_serving, deployment, serve, versions
from .cli_training import train_worker
from .environment import prepare, read_environment

if TYPE_CHECKING:
    from .config import PipelineConfig

prepare()


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seq2seq-tfx", prog_name="seq2seq")
def main() -> None:
    """From a file of text pairs to a served, gated model."""


for command in (
    data,
    gate,
    serve,
    bench_serving,
    versions,
    deployment,
    dashboard,
    runs,
    gc,
    schedule,
    compile_,
    train_worker,
):
    main.add_command(command)


@main.command(epilog=EXIT_CODES)
@asks_a_job
@click.option(
    "--runner",
    type=click.Choice(["local", "beam"]),
    default="local",
    show_default=True,
    help="Run components one by one, or the DAG as a Beam pipeline.",
)
@click.option("--component", help="Run this one alone, of the run that --run-id names.")
@click.option("--run-id", help="Any name: components that are run with the same make one run.")
@click.option(
    "--env",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Lines NAME=VALUE for the environment, such as a webhook's address; it may be missing.",
)
def run(
    config_path: Path,
    output: Path | None,
    runner: str,
    component: str | None,
    run_id: str | None,
    env: Path | None,
) -> None:
    """Run the pipeline of a configuration."""
    if (component is None) != (run_id is None):
        raise click.UsageError("--component and --run-id need one another")
    if "" in (component, run_id):  # of a variable that is not set, and no run of everything
        raise click.UsageError("--component and --run-id: expected names, received an empty one")
    if component and runner != "local":
        raise click.UsageError("--component is run locally, whatever --runner says: leave it out")
    secrets = []  # what is wrong with them
    if env:
        try:
            for fault in read_environment(env):
                say(f"warning: {fault}", err=True)
        except OSError as error:
            secrets = [f"--env: expected a file of lines NAME=VALUE that can be read: {error}"]
    from .config_file import ConfigurationError

    try:
        from .config import load_config
        from .run_end import tell_refused
        from .run_folder import LOG
        from .unattended import run_job, run_one

        try:
            if secrets:
                raise ConfigurationError(secrets)
            config = load_config(config_path)
            refuse_elsewhere(config, config_path)
            output = output or config.output
            refuse_pattern(output)
        except ConfigurationError as error:
            tell_refused(config_path, output, error)
            refuse(error)
        say(f"running '{config.name}' of {config_path} in {output}; details in {output / LOG}")
        if component and run_id:
            sys.exit(run_one(config, config_path, output, component, run_id))
        sys.exit(run_job(config, config_path, output, runner))
    except KeyboardInterrupt:  # before a run or between two, where nothing is to be put away
        fail("stopped by SIGINT", STOPPED + signal.SIGINT)


@main.command()
@asks_a_model
@click.option("--nbest", type=click.IntRange(min=1), default=1, help="Hypotheses a line.")
@click.option("--scores", is_flag=True, help="Give each hypothesis' score after it.")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Answer the lines of a file (plain, .gz, .bz2, .xz or .zst); --output is then the file "
    "of answers.",
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --input: where this job has Beam work (`runner.beam`), not in this process.",
)
@click.option(
    "--server",
    help="Ask a server in place of --model: HOST:PORT by gRPC, http://HOST:PORT by REST.",
)
@click.option("--name", default="seq2seq", show_default=True, help="The model's, at a server.")
def predict(
    model: Path | None,
    output: Path,
    nbest: int,
    scores: bool,
    source: Path | None,
    config_path: Path | None,
    server: str | None,
    name: str,
) -> None:
    """Answer lines of standard input, a line each on standard output.

    Hypotheses of one line, and their scores, are separated by tabs, best first.
    A line that is no UTF-8 is answered with an empty line and reported.

    With --input FILE --output FILE, of any size: each line becomes a line of JSON with its
    number, hypotheses and scores, or why it was rejected; a run that was stopped is gone
    on with by the same command.
    """
    if server and (model or source):
        raise click.UsageError(f"expected one of {'--model' if model else '--input'} and --server")
    if config_path and not source:
        raise click.UsageError("--config needs --input")
    if source:
        from .predict_command import predict_to_file

        beam_args = None
        if config_path:
            job = _load(config_path, files=False, here=True)  # its runner alone is asked for
            beam_args = job.runner.beam.arguments()
        sys.exit(predict_to_file(model, source, output, nbest, beam_args))
    from ..serving.local_model import LocalModel, ModelError, newest_model
    from .predict_lines import predict_lines

    try:
        if server:
            from ..serving.client import Client

            with Client(server, name=name) as client:
                bad = predict_lines(client, sys.stdin.buffer, sys.stdout, nbest, scores)
        else:
            model = model or newest_model(output)
            loaded = LocalModel(model)
            click.echo(f"model: {model}", err=True)
            bad = predict_lines(loaded, sys.stdin.buffer, sys.stdout, nbest, scores)
    except ModelError as error:
        fail(str(error), ERROR)
    except BrokenPipeError:
        # Whoever read the answers has enough; keep Python from flushing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(ERROR)
    if bad:
        fail(f"{bad} lines were not UTF-8 and got an empty answer", ERROR)


@main.command()
@click.argument("text")
@asks_a_model
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("explanation"),
    show_default=True,
    help="Where the pictures go: a folder, or a name without .png and .svg.",
)
def explain(text: str, model: Path | None, output: Path, to: Path) -> None:
    """Answer TEXT, and draw where the model looked: a heat map as PNG and SVG.

    Rows are the tokens of the answer, columns those of TEXT.
    """
    from ..serving.local_model import LocalModel, ModelError, newest_model
    from .explain_command import CannotExplain, explain_text

    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8", param_hint="TEXT") from None
    try:
        model = model or newest_model(output)
        loaded = LocalModel(model)
        click.echo(f"model: {model}", err=True)
        explain_text(loaded, text, to)
    except (ModelError, CannotExplain) as error:
        fail(str(error), ERROR)


@main.group()
def config() -> None:
    """Look at configurations."""


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def config_check(file: Path) -> None:
    """Check a configuration without running anything."""
    checked = _load(file)
    click.echo(f"{file}: the job '{checked.name}' is valid")


def _load(path: Path, files: bool = True, here: bool = False) -> PipelineConfig:
    """A job; ends with what is wrong with it.

    Args:
      path: of its configuration.
      files: whether the files that it names must be there.
      here: whether its workers must see this machine's files.
    """
    from .config import ConfigurationError, load_config

    try:
        config = load_config(path, files)
        if here:
            refuse_elsewhere(config, path)
        return config
    except ConfigurationError as error:
        refuse(error)
