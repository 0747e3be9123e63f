"""`seq2seq predict` on Beam's workers: a file is answered in pieces, and these are joined."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from ..components.batch_answers import AnswerFiles, Counts, pieces_in, total
from ..components.decoding import let_go_of_models
from ..components.readers.compression import DAMAGE
from ..serving.answered_lines import count
from .predict_file import CannotPredict, Done, check_files, check_job, digest_of


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
    check_files(source, target)
    folder = target.with_name(f"{target.name}.pieces").absolute()
    record = folder / "job.json"
    try:
        job = {"input": digest_of(source), "model": str(model), "nbest": nbest}
        folder.mkdir(parents=True, exist_ok=True)
        if record.exists():
            check_job(folder, json.loads(record.read_text()), job)
        record.write_text(json.dumps(job))
        before = sum(_counts_in(folder))
        with beam.Pipeline(options=PipelineOptions(beam_args)) as pipeline:
            _ = pipeline | AnswerFiles([str(source.absolute())], str(model), str(folder), nbest)
        let_go_of_models()
        partial = target.with_name(f"{target.name}.partial")
        with partial.open("wb") as answers:
            for piece in pieces_in(str(folder)):
                with open(piece, "rb") as part:
                    shutil.copyfileobj(part, answers)
            answers.flush()
            os.fsync(answers.fileno())
        os.replace(partial, target)
        answered, rejected = _counts_in(folder)
        shutil.rmtree(folder)
    except (*DAMAGE, RuntimeError) as error:  # the last is a runner's, of whatever failed there
        raise CannotPredict(
            f"{source} to {target}: {error}. What is answered is in {folder}; the same command "
            "goes on from there"
        ) from error
    return Done(answered, rejected, before)


def _counts_in(folder: Path) -> Counts:
    """How many lines of the pieces that are there are answered, and rejected."""

    def count_in(piece: str) -> Counts:
        with open(piece, "rb") as file:
            return count(file)

    return total(map(count_in, pieces_in(str(folder))))
