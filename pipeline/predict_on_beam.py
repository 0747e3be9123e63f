"""`seq2seq predict` on Beam's workers: a file is answered in pieces, and these are joined."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from ..components.batch_answers import AnswerFiles, Counts, pieces_in, total
from ..components.decoding import let_go_of_models
from ..components.readers.compression import DAMAGE
from ..serving.answered_lines import count
from .begun_answers import (
    PIECES,
    CannotPredict,
    alone,
    beside,
    check_job,
    checked_target,
    damaged,
    digest_of,
    read_job,
    write_job,
)
from .predict_file import Done


def predict_on_beam(
    model: Path, source: Path, target: Path, nbest: int, beam_args: list[str]
) -> Done:
    """Answers every line of a file, as `predict_file` does.

    Until all is done the answers are in the folder `TARGET.pieces`. The same command
    goes on from there. Workers must see the same files under the same names.

    Args:
      model: folder of the SavedModel.
      source: UTF-8 text, packed or not.
      target: where the answers go; what is there is replaced at the end.
      nbest: hypotheses a line.
      beam_args: of the runner.

    Raises:
      CannotPredict: the input cannot be read, or what was begun belongs to something else.
    """
    target = checked_target(source, target)
    folder = beside(target, PIECES)
    try:
        with alone(target):
            job = {"input": digest_of(source), "model": str(model), "nbest": nbest}
            before = sum(_begin(folder, job))
            with beam.Pipeline(options=PipelineOptions(beam_args)) as pipeline:
                _ = pipeline | AnswerFiles([str(source.absolute())], str(model), str(folder), nbest)
            let_go_of_models()
            joined = folder / "joined"
            with joined.open("wb") as answers:
                for piece in pieces_in(str(folder)):
                    with open(piece, "rb") as part:
                        shutil.copyfileobj(part, answers)
                answers.flush()
                os.fsync(answers.fileno())
            os.replace(joined, target)
            answered, rejected = _counts_in(folder)
            # In one step, for a part of it would be gone on with.
            gone = mkdtemp(prefix=f".{folder.name}.", dir=folder.parent)
            os.replace(folder, gone)
            shutil.rmtree(gone)
    except (*DAMAGE, RuntimeError) as error:  # the last is a runner's, of whatever failed there
        raise CannotPredict(
            f"{source} to {target}: {error}. What is answered is in {folder}; the same command "
            "goes on from there"
        ) from error
    return Done(answered, rejected, before)


def _begin(folder: Path, job: dict[str, Any]) -> Counts:
    """Makes ready to answer; gives how many lines were answered and rejected before."""
    folder.mkdir(exist_ok=True)
    record = folder / "job.json"
    if record.exists():
        check_job(folder, read_job(record, folder), job)
    elif any(folder.iterdir()):
        raise CannotPredict(
            f"expected {folder} to be missing, empty, or of an earlier run, found other files "
            "there: move them away, or name another --output"
        )
    else:
        write_job(record, job)
    return _counts_in(folder)


def _counts_in(folder: Path) -> Counts:
    """How many lines of the pieces that are there are answered, and rejected.

    Raises:
      CannotPredict: a piece is damaged.
    """

    def count_in(piece: str) -> Counts:
        with open(piece, "rb") as file:
            try:
                return count(file)
            except ValueError as error:
                raise damaged(Path(piece), error) from error

    return total(map(count_in, pieces_in(str(folder))))
