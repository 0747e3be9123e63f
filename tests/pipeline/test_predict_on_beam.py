"""`seq2seq predict --config` answers as one process does, and is gone on with."""

import gzip
import json

import pytest

from seq2seq_tfx.components import batch_answers, decoding
from seq2seq_tfx.pipeline import predict_on_beam as module
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
from seq2seq_tfx.pipeline.begun_answers import CannotPredict, digest_of
from seq2seq_tfx.pipeline.predict_file import predict_file
from seq2seq_tfx.pipeline.predict_on_beam import predict_on_beam
from seq2seq_tfx.serving.local_model import Hypothesis


class Echo:
    """Answers with the source in angle brackets."""

    def __init__(self, directory):
        self.directory = directory

    def has(self, signature):
        return False

    def predict(self, sources, nbest=1):
        return [[Hypothesis(f"<{s}>", -0.5 * i, -1.0) for i in range(nbest)] for s in sources]


@pytest.fixture(autouse=True)
def _small_pieces_and_a_simple_model(monkeypatch):
    monkeypatch.setattr(batch_answers, "WINDOW", 16)
    monkeypatch.setattr(decoding, "LocalModel", Echo)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_bytes(b"".join(b"line %d\n" % i for i in range(50)) + b"\xff\n")
    return path


@pytest.mark.parametrize("folder", ["runs", "runs[1]"])  # the latter is a pattern, too
def test_the_file_is_that_of_one_process(tmp_path, source, folder):
    there = tmp_path / folder
    there.mkdir()
    predict_file(Echo(""), "m", source, there / "one.jsonl")
    done = predict_on_beam(tmp_path / "m", source, there / "two.jsonl", 1, list(BEAM_ARGS))
    assert done == (50, 1, 0)
    assert (there / "two.jsonl").read_bytes() == (there / "one.jsonl").read_bytes()
    assert sorted(path.name for path in there.iterdir()) == ["one.jsonl", "two.jsonl"]


def test_what_was_stopped_is_gone_on_with_and_with_nothing_else(tmp_path, source, monkeypatch):
    target = tmp_path / "out.jsonl"

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.shutil, "copyfileobj", stopped)
        with pytest.raises(KeyboardInterrupt):
            predict_on_beam(tmp_path / "m", source, target, 1, list(BEAM_ARGS))
    with pytest.raises(CannotPredict, match="was begun with another nbest"):
        predict_on_beam(tmp_path / "m", source, target, 2, list(BEAM_ARGS))
    assert predict_on_beam(tmp_path / "m", source, target, 1, list(BEAM_ARGS)) == (50, 1, 51)
    assert [json.loads(line)["id"] for line in target.open()] == [*range(1, 52)]


def test_nothing_but_its_own_pieces_is_gone_on_with_or_removed(tmp_path, source):
    foreign = tmp_path / "out.jsonl.pieces" / "predictions-00000-000000.jsonl"
    foreign.parent.mkdir()
    foreign.write_text('{"id": 1, "hypotheses": []}\n')
    with pytest.raises(CannotPredict, match="found other files there: move them away"):
        predict_on_beam(tmp_path / "m", source, tmp_path / "out.jsonl", 1, list(BEAM_ARGS))
    assert foreign.exists() and not (tmp_path / "out.jsonl").exists()


def test_a_stop_while_pieces_are_removed_leaves_none(tmp_path, source, monkeypatch):
    def stopped(folder, **_):  # Beam removes folders of its own
        if "pieces" in str(folder):
            raise KeyboardInterrupt

    monkeypatch.setattr(module.shutil, "rmtree", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict_on_beam(tmp_path / "m", source, tmp_path / "out.jsonl", 1, list(BEAM_ARGS))
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 51
    assert not (tmp_path / "out.jsonl.pieces").exists()


@pytest.mark.parametrize("name", ["job.json", "predictions-00000-000000.jsonl"])
def test_damage_of_what_was_begun_is_told(tmp_path, source, name):
    pieces = tmp_path / "out.jsonl.pieces"
    pieces.mkdir()
    job = {"input": digest_of(source), "model": str(tmp_path / "m"), "nbest": 1}
    (pieces / "job.json").write_text(json.dumps(job))
    (pieces / name).write_bytes(b"\xff\n")
    with pytest.raises(CannotPredict, match=rf"{name} is damaged.*remove {pieces}"):
        predict_on_beam(tmp_path / "m", source, tmp_path / "out.jsonl", 1, list(BEAM_ARGS))


@pytest.mark.parametrize(
    "damage",
    [lambda packed: packed[:-20], lambda packed: packed[:60] + bytes(50) + packed[110:]],
    ids=["truncated", "overwritten"],
)
def test_a_damaged_file_is_told_by_both_ways(tmp_path, damage):
    damaged = damage(gzip.compress(b"".join(b"line %d\n" % i for i in range(5000))))
    path = tmp_path / "in.gz"
    path.write_bytes(damaged)
    with pytest.raises(CannotPredict, match=r"in\.gz to"):
        predict_file(Echo(""), "m", path, tmp_path / "one.jsonl")
    with pytest.raises(CannotPredict, match=r"in\.gz to .*the same command goes on from there"):
        predict_on_beam(tmp_path / "m", path, tmp_path / "two.jsonl", 1, list(BEAM_ARGS))
    assert not (tmp_path / "two.jsonl").exists()
