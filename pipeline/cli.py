"""The `seq2seq` command. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from ..serving.promotion import Promotion
    from .config import PipelineConfig
    from .config_file import ConfigurationError

# Before anything imports TensorFlow or Keras.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it greets with lines about absent GPUs
os.environ["KERAS_BACKEND"] = "tensorflow"  # what is exported is a SavedModel
# Without it TensorFlow has oneDNN's products on the newest processors alone; a training
# step took 1.4 times as long with AVX2 (benchmarks/LOG.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
warnings.filterwarnings("ignore", category=FutureWarning, module="google")

ERROR = 1
NOT_RELEASED = 3
BUSY = 4
PORT = click.IntRange(0, 65535)
COUNT = click.IntRange(min=1)
STOPPED = 128  # and the signal's number, as shells have it

EXIT_CODES = f"""
\b
Exit codes:
  0  done; for `run`: the model was blessed and pushed
  {ERROR}  an error: the message and the log say which
  2  the command line or the configuration is wrong; nothing was run
  {NOT_RELEASED}  the run went through, and the model was not blessed or not servable;
     for `data check`: no pair was kept, or a limit of `data_validation` does not hold
  {BUSY}  another run is using the output folder
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


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seq2seq-tfx", prog_name="seq2seq")
def main() -> None:
    """From a file of text pairs to a served, gated model."""


@main.command(epilog=EXIT_CODES)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("pipeline_config.yaml"),
    show_default=True,
    help="The job.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where all that the run makes goes.  [default: output/NAME]",
)
@click.option(
    "--runner",
    type=click.Choice(["local", "beam"]),
    default="local",
    show_default=True,
    help="Run components one by one, or the DAG as a Beam pipeline.",
)
def run(config_path: Path, output: Path | None, runner: str) -> None:
    """Run the pipeline of a configuration."""
    from .reporting import print_summary

    config = _load(config_path)
    from . import runners

    output = output or Path("output") / config.name
    log = output / runners.LOG
    click.echo(f"running '{config.name}' of {config_path} in {output}; details in {log}")
    try:
        summary = runners.run_pipeline(config, output, runner)
    except runners.OutputBusy as error:
        _fail(str(error), BUSY)
    except runners.RunStopped as error:
        _fail(f"stopped by {error}", STOPPED + error.number)
    except runners.RunFailed as error:
        _fail(f"{error}\nThe whole story is in {log}", ERROR)
    print_summary(summary, config_path)
    from .run_report import write_report

    try:
        click.echo(f"report: {write_report(config.name, summary, output)}")
    except OSError as error:  # the run itself is done, and its exit code stays
        click.echo(f"warning: the report cannot be written: {error}", err=True)
    sys.exit(0 if summary.released else NOT_RELEASED)


@main.command()
@asks_a_model
@click.option("--nbest", type=click.IntRange(min=1), default=1, help="Hypotheses a line.")
@click.option("--scores", is_flag=True, help="Give each hypothesis' score after it.")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Answer the lines of a file (plain or .gz); --output is then the file of answers.",
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
    if source:
        from .predict_command import predict_to_file

        sys.exit(predict_to_file(model, source, output, nbest))
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
        _fail(str(error), ERROR)
    except BrokenPipeError:
        # Whoever read the answers has enough; keep Python from flushing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(ERROR)
    if bad:
        _fail(f"{bad} lines were not UTF-8 and got an empty answer", ERROR)


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
        _fail(str(error), ERROR)


@main.command()
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
@click.option("--queue-rows", type=COUNT, default=512, show_default=True, help="Waiting at most.")
@click.option("--timeout", type=COUNT, default=30, show_default=True, help="Seconds a request.")
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
    timeout: int,
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

    limits = Limits(batch_rows=batch_rows, queue_rows=queue_rows, seconds=float(timeout))
    try:
        serve_model(model, output, name, host, (grpc_port, rest_port), model_config, limits)
    except (ModelError, ModelConfigError, CannotServe) as error:
        _fail(str(error), ERROR)


@main.command("bench-serving")
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
        _fail(str(error), ERROR)


@main.group()
def versions() -> None:
    """Choose which pushed version servers answer with."""


@versions.command("list")
@asks_a_model
def versions_list(model: Path | None, output: Path) -> None:
    """Show pushed versions and their labels."""
    _versions(model, output, lambda base: None)


@versions.command("promote")
@click.argument("version", type=COUNT)
@asks_a_model
@click.option("--label", default="stable", show_default=True, help="Such as canary.")
@click.option("--base-path", default="", help="The folder's place where it is served.")
def versions_promote(
    version: int, model: Path | None, output: Path, label: str, base_path: str
) -> None:
    """Give VERSION a label in the model configuration of servers."""
    from ..serving.promotion import promote

    _versions(model, output, lambda base: promote(base, version, label, base_path))


@versions.command("rollback")
@asks_a_model
@click.option("--base-path", default="", help="The folder's place where it is served.")
def versions_rollback(model: Path | None, output: Path, base_path: str) -> None:
    """Make the version stable that was so before."""
    from ..serving.promotion import roll_back

    _versions(model, output, lambda base: roll_back(base, base_path))


def _versions(model: Path | None, output: Path, change: Callable[[Path], Promotion | None]) -> None:
    from ..serving.local_model import ModelError
    from ..serving.promotion import PromotionError
    from .versions_command import folder_of, print_versions

    try:
        base = folder_of(model, output)
        print_versions(base, change(base))
    except (ModelError, PromotionError) as error:
        _fail(str(error), ERROR)


@main.group()
def config() -> None:
    """Look at configurations."""


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def config_check(file: Path) -> None:
    """Check a configuration without running anything."""
    checked = _load(file)
    click.echo(f"{file}: the job '{checked.name}' is valid")


@main.group()
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
def data_check(
    inputs: tuple[str, ...],
    config_path: Path | None,
    output: Path | None,
    as_json: bool,
    file_format: str | None,
    languages: tuple[str, str] | None,
) -> None:
    """Read and clean pairs, and tell what was kept and what was rejected, and why.

    INPUT is a path or a glob; without one, those of the configuration. Two files of
    unknown kind, or files with `--format aligned`, are aligned text: source, target.
    """
    if not inputs and config_path is None:
        raise click.UsageError("expected INPUT... or --config")
    from ..components.errors import PipelineError, reason_of
    from .check_command import check_config, run_check
    from .config_file import ConfigurationError

    settings: dict[str, object] = {"format": file_format} if file_format else {}
    if languages:
        settings["languages"] = dict(zip(("source", "target"), languages, strict=True))
    try:
        config = check_config(config_path, inputs, settings)
    except ConfigurationError as error:
        _refuse(error)
    try:
        faults = run_check(config, output, as_json)
    except (PipelineError, OSError, RuntimeError) as error:
        _fail(reason_of(error), ERROR)
    if faults:
        _fail("\n".join(faults), NOT_RELEASED)


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
                _fail(str(error), ERROR)


_add_datasets()


def _load(path: Path) -> PipelineConfig:
    from .config import ConfigurationError, load_config

    try:
        return load_config(path)
    except ConfigurationError as error:
        _refuse(error)


def _refuse(error: ConfigurationError) -> NoReturn:
    count = len(error.problems)
    plural = "problems" if count > 1 else "problem"
    _fail(f"{count} {plural} in the configuration:\n{error}", 2)


def _fail(message: str, code: int) -> NoReturn:
    click.secho("error: ", fg="red", nl=False, err=True)
    click.echo(message, err=True)
    sys.exit(code)
