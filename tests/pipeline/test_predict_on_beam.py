"""`seq2seq predict --config` answers as one process does, and is gone on with."""

import gzip
import json

import pytest

from seq2seq_tfx.components import batch_answers, decoding
from seq2seq_tfx.pipeline import predict_on_beam as module
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
from seq2seq_tfx.pipeline.predict_file import CannotPredict, predict_file
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
