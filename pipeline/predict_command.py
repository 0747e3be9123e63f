"""`seq2seq predict --input FILE --output FILE`: what it prints, and how it ends."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..serving.local_model import LocalModel, ModelError, check_nbest, most_of, newest_model
from .begun_answers import CannotPredict
from .predict_file import predict_file

OUTPUT = Path("output")  # where runs are, and where models are looked for


def predict_to_file(
    model: Path | None, source: Path, target: Path, nbest: int, beam_args: list[str] | None = None
) -> int:
    """Answers a file and says what came of it.

    Args:
      model: a pushed version; the newest below `OUTPUT` if None.
      source: the lines.
      target: where the answers go.
      nbest: hypotheses a line.
      beam_args: of the runner of Beam that answers; None for this process alone.

    Returns:
      The exit code: 1 where a line was rejected, or nothing could be done.
    """
    if target == OUTPUT or target.is_dir():
        return _fail(f"expected --output FILE for the answers, received the folder {target}")
    try:
        directory = (model or newest_model(OUTPUT)).resolve()
        check_nbest(nbest, most_of(directory))  # before anything is begun that holds to it
        if beam_args:
            from .predict_on_beam import predict_on_beam

            print(f"model: {directory}", file=sys.stderr)
            done = predict_on_beam(directory, source, target, nbest, beam_args)
        else:
            loaded = LocalModel(directory)
            print(f"model: {directory}", file=sys.stderr)
            done = predict_file(loaded, str(directory), source, target, nbest, _tell)
    except (ModelError, CannotPredict) as error:
        return _fail(str(error))
    if done.resumed_at:
        print(f"went on: {done.resumed_at:,} lines were answered before", file=sys.stderr)
    print(f"{done.answered:,} lines answered in {target}", file=sys.stderr)
    if done.rejected:
        return _fail(f"{done.rejected:,} lines were rejected: their rows in {target} say why")
    return 0


def _tell(lines: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{lines:,} lines", end="", file=sys.stderr, flush=True)


def _fail(message: str) -> int:
    click.secho("error: ", fg="red", nl=False, err=True)
    click.echo(message, err=True)
    return 1
