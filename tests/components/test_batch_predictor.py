"""The promises of batch prediction over Beam: the rows of one process, in order, gone on with."""

import bz2
import gzip
import json
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import channel_utils, standard_artifacts

from seq2seq_tfx.components import batch_answers, batch_predictor, decoding
from seq2seq_tfx.components.artifacts import Predictions
from seq2seq_tfx.components.batch_answers import AnswerFiles, pieces_in
from seq2seq_tfx.components.batch_predictor import BatchPredictor, Executor, PredictionConfig
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
from seq2seq_tfx.pipeline.predict_file import predict_file
from seq2seq_tfx.serving.local_model import Hypothesis

WINDOW = 16
ASKED = []  # sources, over all models
FAULTS = []  # each is raised once, after so many batches


class Echo:
    """Answers with the source in angle brackets."""

    def __init__(self, directory):
        self.directory = directory

    def has(self, signature):
        return False

    def predict(self, sources, nbest=1):
        if FAULTS and len(ASKED) >= FAULTS[0]:
            FAULTS.pop()
            raise OSError("a worker is gone")
        ASKED.extend(sources)
        return [[Hypothesis(f"<{s}>", -0.5 * i, -1.0) for i in range(nbest)] for s in sources]


@pytest.fixture(autouse=True)
def _small_pieces_and_a_simple_model(monkeypatch):
    monkeypatch.setattr(batch_answers, "WINDOW", WINDOW)
    monkeypatch.setattr(decoding, "LocalModel", Echo)
    ASKED.clear(), FAULTS.clear()
    yield
    decoding.let_go_of_models()


def content(number, start=0):
    lines = [f"{i} é\u2028" + "x" * (i * 7 % 40) for i in range(start, start + number)]
    lines[3:3] = ["", "tab\there\r"]
    return "\n".join(lines).encode() + b"\n\xff\xfe\n" + b"the last"


def answer(files, folder, nbest=1):
    folder.mkdir(exist_ok=True)
    with beam.Pipeline(options=PipelineOptions(list(BEAM_ARGS))) as pipeline:
        counts = pipeline | AnswerFiles([*map(str, files)], "model", str(folder), nbest)
        assert_that(counts, equal_to([total_of(files)]))
    return content_of(folder)


def content_of(folder):
    return b"".join(Path(piece).read_bytes() for piece in pieces_in(str(folder)))


def total_of(files):
    lines = sum(unpacked(file).count(b"\n") + 1 for file in files)
    return lines - len(files), len(files)


def unpacked(file):
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(file.suffix, open)
    with opener(file, "rb") as stream:
        return stream.read()


@pytest.mark.parametrize("pack", [None, gzip, bz2])
@pytest.mark.parametrize("nbest", [1, 2])
def test_the_answers_are_those_of_one_process_byte_for_byte(tmp_path, pack, nbest):
    plain, packed = tmp_path / "in.txt", tmp_path / f"in.{pack.__name__[:3] if pack else 'x'}"
    packed = packed.with_suffix({gzip: ".gz", bz2: ".bz2"}.get(pack, ".text"))
    plain.write_bytes(content(70))
    packed.write_bytes(pack.compress(content(70)) if pack else content(70))
    predict_file(Echo(""), "model", plain, tmp_path / "out.jsonl", nbest)
    assert answer([packed], tmp_path / "out", nbest) == (tmp_path / "out.jsonl").read_bytes()
    assert len(pieces_in(str(tmp_path / "out"))) == 5


def test_rows_of_several_files_say_which_they_are_of_and_keep_their_order(tmp_path):
    files = [tmp_path / "b.txt", tmp_path / "a.txt"]
    for i, file in enumerate(files):
        file.write_bytes(content(40, 100 * i))
    rows = [json.loads(line) for line in answer(files, tmp_path / "out").splitlines()]
    assert [(row["file"], row["id"]) for row in rows] == [
        (str(file), i) for file in files for i in range(1, 45)
    ]


def test_an_empty_file_has_no_answers(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"")
    (tmp_path / "out").mkdir()
    with beam.Pipeline(options=PipelineOptions(list(BEAM_ARGS))) as pipeline:
        counts = pipeline | AnswerFiles([str(tmp_path / "in.txt")], "m", str(tmp_path / "out"), 1)
        assert_that(counts, equal_to([(0, 0)]))
    assert pieces_in(str(tmp_path / "out")) == []


def test_what_was_answered_before_a_worker_failed_is_not_answered_again(tmp_path):
    file = tmp_path / "in.txt"
    file.write_bytes(content(70))
    FAULTS.append(40)
    with pytest.raises(Exception, match="a worker is gone"):
        answer([file], tmp_path / "out")
    before, there = len(ASKED), len(pieces_in(str(tmp_path / "out")))
    assert there == before // WINDOW > 1
    whole = answer([file], tmp_path / "out")
    assert len(ASKED) == total_of([file])[0]
    assert whole == answer([file], tmp_path / "afresh")


def component(tmp_path, run, pushed=1, **config):
    given = PredictionConfig(input=str(tmp_path / "*.txt"), **config)
    model, pushed_model = standard_artifacts.Model(), standard_artifacts.PushedModel()
    model.uri = str(tmp_path / "model")
    pushed_model.set_int_custom_property("pushed", pushed)
    predictions = Predictions()
    predictions.uri = str(tmp_path / "BatchPredictor" / "predictions" / run)
    properties = BatchPredictor(
        channel_utils.as_channel([model]), channel_utils.as_channel([pushed_model]), given
    ).exec_properties
    context = BaseBeamExecutor.Context(list(BEAM_ARGS), str(tmp_path / "tmp"), run)
    Executor(context).Do(
        {"model": [model], "pushed_model": [pushed_model]},
        {"predictions": [predictions]},
        properties,
    )
    return tmp_path / "BatchPredictor" / "predictions" / run


def test_the_component_goes_on_where_an_earlier_execution_failed(tmp_path):
    (tmp_path / "in.txt").write_bytes(content(70))
    FAULTS.append(40)
    with pytest.raises(Exception, match="a worker is gone"):
        component(tmp_path, "1")
    there = len(ASKED)
    folder = component(tmp_path, "2")
    assert len(ASKED) == total_of([tmp_path / "in.txt"])[0] > there
    assert json.loads((folder / "counts.json").read_text()) == {"answered": 73, "rejected": 1}
    rows = [json.loads(line) for line in content_of(folder).splitlines()]
    assert [row["id"] for row in rows] == [*range(1, 75)]
    assert not list((tmp_path / "BatchPredictor" / "checkpoints").iterdir())


def test_what_other_code_has_answered_is_answered_again(tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_bytes(content(70))
    FAULTS.append(40)
    with pytest.raises(Exception, match="a worker is gone"):
        component(tmp_path, "1")
    ASKED.clear()
    monkeypatch.setattr(batch_predictor, "code_digest", lambda *_: "another version")
    component(tmp_path, "2")
    assert len(ASKED) == total_of([tmp_path / "in.txt"])[0]


def test_nothing_is_answered_with_a_model_that_was_not_pushed(tmp_path):
    (tmp_path / "in.txt").write_bytes(content(70))
    folder = component(tmp_path, "1", pushed=0)
    assert json.loads((folder / "counts.json").read_text()) == {"answered": 0, "rejected": 0}
    assert not ASKED and pieces_in(str(folder)) == []


def test_a_pattern_that_matches_nothing_is_told(tmp_path):
    with pytest.raises(PipelineError, match=r"prediction\.input: expected files, found none"):
        component(tmp_path, "1")


def test_a_changed_file_is_another_input(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"a\n")
    config = PredictionConfig(input=[str(tmp_path / "in.txt")])
    model = channel_utils.as_channel([standard_artifacts.Model()])
    pushed = channel_utils.as_channel([standard_artifacts.PushedModel()])
    digests = set()
    for text in (b"a\n", b"a\nb\n"):
        (tmp_path / "in.txt").write_bytes(text)
        digests.add(BatchPredictor(model, pushed, config).exec_properties["input_digest"])
    assert len(digests) == 2
