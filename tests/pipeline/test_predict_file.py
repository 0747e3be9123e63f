"""The promises of batch prediction: every line in its place, whatever stops the run."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
from pathlib import Path

import pytest
import zstandard

from seq2seq_tfx.pipeline import predict_file as module
from seq2seq_tfx.pipeline.begun_answers import CannotPredict, alone
from seq2seq_tfx.pipeline.predict_file import predict_file
from seq2seq_tfx.pipeline.predict_on_beam import predict_on_beam
from seq2seq_tfx.serving import answered_lines
from seq2seq_tfx.serving.answered_lines import read_lines
from seq2seq_tfx.serving.local_model import Hypothesis
from seq2seq_tfx.serving.told import Assessed


class Echo:
    """Answers with the source in angle brackets; stops after so many batches."""

    def __init__(self, batches=None):
        self._left = batches
        self.asked = 0

    def has(self, signature):
        return False

    def predict(self, sources, nbest=1):
        if self._left is not None:
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
        self.asked += len(sources)
        return [[Hypothesis(f"<{s}>", -0.5 * i, -1.0) for i in range(nbest)] for s in sources]


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 16)


def rows_of(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def lines(number):
    generator = random.Random(1)
    return [f"{i}é " + "x" * generator.randint(0, 50) for i in range(number)]


def predict(model, tmp_path, name="model", **options):
    return predict_file(model, name, tmp_path / "in.txt", tmp_path / "out.jsonl", **options)


def on_beam(source, target):
    return predict_on_beam(Path("model"), source, target, 1, [])


every_way = pytest.mark.parametrize(
    "way", [lambda source, target: predict_file(Echo(), "model", source, target), on_beam]
)


def expected(texts):
    return [
        {"id": i, "hypotheses": [{"text": f"<{text}>", "score": 0.0, "log_prob": -1.0}]}
        for i, text in enumerate(texts, start=1)
    ]


class Telling(Echo):
    """Tells of its answers as well."""

    def has(self, signature):
        return signature == "confidence"

    def assess(self, sources):
        return [Assessed(f"<{s}>", 0.0, -1.0, {"mean_log_prob": -len(s)}) for s in sources]


def test_the_best_answer_comes_with_what_the_model_tells_of_it(tmp_path):
    texts = lines(20)
    (tmp_path / "in.txt").write_text("\n".join(texts), "utf-8")
    predict(Telling(), tmp_path)
    told = [{"confidence": {"mean_log_prob": -len(text)}} for text in texts]
    rows = rows_of(tmp_path / "out.jsonl")
    assert rows == [{**one, **more} for one, more in zip(expected(texts), told, strict=True)]
    predict(Telling(), tmp_path, nbest=2)
    assert not any("confidence" in row for row in rows_of(tmp_path / "out.jsonl"))


def test_every_line_is_answered_in_its_place_with_number_and_scores(tmp_path):
    texts = [*lines(53), "", "a\u2028b\x0bc\x85"]
    (tmp_path / "in.txt").write_bytes("\r\n".join(texts).encode())
    assert predict(Echo(), tmp_path) == (55, 0, 0)
    assert rows_of(tmp_path / "out.jsonl") == expected(texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.jsonl"]


PACKED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda text: zstandard.ZstdCompressor().compress(text),
}
every_packing = pytest.mark.parametrize("ending", PACKED)


@every_packing
def test_a_packed_file_and_several_hypotheses(tmp_path, ending):
    packed = tmp_path / f"in.txt.{ending}"
    packed.write_bytes(PACKED[ending](b"a\nb\n"))
    predict_file(Echo(), "model", packed, tmp_path / "out.jsonl", nbest=2)
    rows = rows_of(tmp_path / "out.jsonl")
    assert [[h["score"] for h in row["hypotheses"]] for row in rows] == [[0, -0.5]] * 2


def test_rejected_lines_keep_their_place_and_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(answered_lines, "LONGEST", 10)
    (tmp_path / "in.txt").write_bytes(b"ok\ncaf\xe9\n" + b"x" * 35 + b'\n"rejected": \nend')
    assert predict(Echo(), tmp_path) == (2, 3, 0)
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row.get("rejected") for row in rows] == [
        None, "invalid_utf8", "long_line", "long_line", None,
    ]  # fmt: skip
    assert rows[1] == {"id": 2, "rejected": "invalid_utf8", "detail": "at byte 4"}
    assert rows[4]["hypotheses"][0]["text"] == "<end>"


def test_a_run_that_was_stopped_is_gone_on_with(tmp_path):
    texts = lines(100)
    (tmp_path / "in.txt").write_text("\n".join(texts) + "\n")
    with pytest.raises(KeyboardInterrupt):
        predict(Echo(batches=3), tmp_path)
    assert not (tmp_path / "out.jsonl").exists()
    partial = tmp_path / "out.jsonl.partial"
    assert len(rows_of(partial)) == 48
    with partial.open("ab") as file:  # a line that the stop tore
        file.write(b'{"id": 49, "hypo')
    model = Echo()
    assert predict(model, tmp_path) == (100, 0, 48)
    assert model.asked == 52
    assert rows_of(tmp_path / "out.jsonl") == expected(texts)


def test_rejected_lines_of_an_earlier_run_are_counted(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"\xff\n" + b'say "rejected": now\n' * 30)
    with pytest.raises(KeyboardInterrupt):
        predict(Echo(batches=1), tmp_path)
    assert predict(Echo(), tmp_path) == (30, 1, 16)


@pytest.mark.parametrize("change", ["model", "nbest", "input"])
def test_nothing_else_is_gone_on_with(tmp_path, change):
    (tmp_path / "in.txt").write_text("a\n" * 40)
    with pytest.raises(KeyboardInterrupt):
        predict(Echo(batches=1), tmp_path)
    options = {"model": {"name": "other"}, "nbest": {"nbest": 2}, "input": {}}[change]
    if change == "input":
        (tmp_path / "in.txt").write_text("b\n" * 40)
    with pytest.raises(CannotPredict, match=f"was begun with another {change}"):
        predict(Echo(), tmp_path, **options)
    assert len(rows_of(tmp_path / "out.jsonl.partial")) == 16


def test_an_old_answer_stays_until_the_new_one_is_whole(tmp_path):
    (tmp_path / "in.txt").write_text("a\n" * 40)
    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        predict(Echo(batches=1), tmp_path)
    assert (tmp_path / "out.jsonl").read_text() == "old"
    predict(Echo(), tmp_path)
    assert len(rows_of(tmp_path / "out.jsonl")) == 40


def test_an_empty_file_has_no_answers(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"")
    assert predict(Echo(), tmp_path) == (0, 0, 0)
    assert (tmp_path / "out.jsonl").read_bytes() == b""


@every_way
def test_a_pipe_is_refused_and_the_answers_that_are_there_stay(tmp_path, way):
    reader, writer = os.pipe()
    os.write(writer, b"a\n")
    os.close(writer)
    source, target = Path(f"/dev/fd/{reader}"), tmp_path / "out.jsonl"
    target.write_text("kept")
    with pytest.raises(CannotPredict, match=r"regular file, received /dev/fd.*without --input"):
        way(source, target)
    os.close(reader)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert target.read_text() == "kept"


@every_way
def test_answers_do_not_replace_their_input(tmp_path, way):
    source, link = tmp_path / "in.txt", tmp_path / "link.txt"
    source.write_text("one\n")
    link.symlink_to(source)
    for target in (source, link):
        with pytest.raises(CannotPredict, match="another file for --output"):
            way(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "link.txt"]
    assert source.read_text() == link.read_text() == "one\n"


@every_way
@pytest.mark.parametrize(
    "name", ["out.partial", "out.partial.json", "out.pieces/predictions-00000-000000.jsonl"]
)
def test_nor_does_what_they_pass_through(tmp_path, way, name):
    source = tmp_path / name
    source.parent.mkdir(exist_ok=True)
    source.write_text("one\n")
    with pytest.raises(CannotPredict, match="another file for --output"):
        way(source, tmp_path / "out")
    assert source.read_text() == "one\n"


@every_way
def test_answers_replace_nothing_but_a_file(tmp_path, way):
    (tmp_path / "in.txt").write_text("one\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(CannotPredict, match=f"--output to be a regular file.*{name}"):
            way(tmp_path / "in.txt", tmp_path / name)
    assert (tmp_path / "folder").is_dir() and (tmp_path / "pipe").is_fifo()


def test_answers_go_where_a_link_leads(tmp_path):
    (tmp_path / "in.txt").write_text("a\n" * 40)
    (tmp_path / "real").write_text("old")
    (tmp_path / "out.jsonl").symlink_to("real")
    predict(Echo(), tmp_path)
    assert (tmp_path / "out.jsonl").is_symlink()
    assert len(rows_of(tmp_path / "real")) == 40


@every_way
def test_two_runs_do_not_write_the_same_file(tmp_path, way):
    (tmp_path / "in.txt").write_text("a\n")
    with (
        alone(tmp_path / "out.jsonl"),
        pytest.raises(CannotPredict, match=r"another run is writing .*out\.jsonl"),
    ):
        way(tmp_path / "in.txt", tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


@pytest.mark.parametrize(
    ("ending", "content"),
    [("partial.json", b""), ("partial.json", b"[]"), ("partial", b"\xff\n"), ("partial", b"{}\n")],
)
def test_what_was_begun_and_is_damaged_is_told_by_its_name(tmp_path, ending, content):
    (tmp_path / "in.txt").write_text("a\n" * 40)
    with pytest.raises(KeyboardInterrupt):
        predict(Echo(batches=1), tmp_path)
    partial = tmp_path / "out.jsonl.partial"
    begun = tmp_path / f"out.jsonl.{ending}"
    begun.write_bytes(content)
    with pytest.raises(CannotPredict, match=rf"{begun} is damaged.*remove {partial} to begin"):
        predict(Echo(), tmp_path)
    partial.unlink()
    assert predict(Echo(), tmp_path) == (40, 0, 0)


def test_lines_of_nobody_knows_what_are_left_alone(tmp_path):
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / "out.jsonl.partial").write_text("mine\n")
    with pytest.raises(CannotPredict, match=r"out\.jsonl\.partial has lines already"):
        predict(Echo(), tmp_path)
    assert (tmp_path / "out.jsonl.partial").read_text() == "mine\n"


@every_packing
def test_a_damaged_archive_is_told(tmp_path, ending):
    packed = tmp_path / f"in.{ending}"
    packed.write_bytes(PACKED[ending]("\n".join(lines(5000)).encode())[:-12])
    with pytest.raises(CannotPredict, match=rf"in\.{ending}"):
        predict_file(Echo(), "model", packed, tmp_path / "out.jsonl")


def test_no_more_of_a_line_is_held_than_allowed(monkeypatch):
    monkeypatch.setattr(answered_lines, "LONGEST", 4)
    lines = b"abc\nabcd\nabcd\r\nabcde\nabcdefghij\n\nabcd\r\r\r\nabcd"
    assert list(read_lines(io.BytesIO(lines))) == [
        b"abc", b"abcd", b"abcd", None, None, b"", None, b"abcd",
    ]  # fmt: skip
    assert list(read_lines(io.BytesIO(b"abcde"))) == [None]
