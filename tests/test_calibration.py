"""`seq2seq gate calibrate` trains as a run does, with one seed after another."""

import json

import pytest

from .jobs import seq2seq, words, write_job

pytestmark = pytest.mark.slow


def test_trainings_differ_in_their_seed_and_a_repetition_is_cached(tmp_path):
    pairs = "".join(f"{word}\t{word[::-1]}\n" for word in words(1, 600))
    (tmp_path / "pairs.tsv").write_text(pairs)
    job = write_job(tmp_path, "tiny", epochs=2, worst=1.0)
    command = ("gate", "calibrate", "--config", job, "--output", "out", "--seeds", 2)
    first = seq2seq(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    record = json.loads((tmp_path / "out" / "calibration" / "calibration.json").read_text())
    (found,) = record["metrics"]
    assert record["seeds"] == [1, 2] and found["pairs"] == 2 and found["margin"] == 0.05
    assert len(set(found["figures"])) == 2
    assert not list((tmp_path / "out").rglob("serving/seq2seq/*"))
    again = seq2seq(*command, cwd=tmp_path)
    assert json.loads((tmp_path / "out" / "calibration" / "calibration.json").read_text()) == record
    assert again.stdout.count(b"Trainer") >= 2 and b"epoch" not in again.stdout
