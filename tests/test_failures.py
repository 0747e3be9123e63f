"""Runs that go wrong: stopped, killed, or without a good pair to learn from."""

import json
import re
import signal
from pathlib import Path

import pytest
import tensorflow as tf

from .jobs import seq2seq, struck, words, write_job

pytestmark = [pytest.mark.slow, pytest.mark.modern]


def exported(output):
    """The variables of a run's SavedModel, by name."""
    (index,) = output.glob("artifacts/Trainer/model/*/Format-Serving/variables/variables.index")
    reader = tf.train.load_checkpoint(str(index.with_suffix("")))
    found = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return {name: value.tobytes() for name, value in found.items() if hasattr(value, "tobytes")}


def test_a_run_that_is_stopped_and_killed_ends_with_the_weights_of_one_that_is_not(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "1")
    lines = (f"{word}\t{word[::-1]}\n" for word in words(1, 1000))
    (tmp_path / "pairs.tsv").write_text("".join(lines))
    job = write_job(tmp_path, "stopped", epochs=5, worst=1.0)
    run = ("run", "--config", job, "--output", "out")
    checkpoints = tmp_path / "out" / "artifacts" / "Trainer" / "checkpoints"

    code, _, errors = struck(signal.SIGTERM, "epoch 2/5", *run, "--runner", "beam", cwd=tmp_path)
    assert code == 143, errors
    assert re.search(r"SIGTERM at step \d+ of epoch \d: the next run goes on from there", errors)
    assert "Traceback" not in errors
    code, printed, errors = struck(signal.SIGKILL, "epoch 4/5", *run, cwd=tmp_path)
    assert code == -signal.SIGKILL, errors
    assert re.search(r"going on from step \d+ of epoch [23]", printed)
    assert "epoch 1/5" not in printed
    assert list(checkpoints.iterdir())

    done = seq2seq(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert re.search(r"going on from step \d+ of epoch [45]", done.stdout.decode())
    (record,) = (tmp_path / "out").glob("artifacts/Trainer/model_run/*/history.json")
    history = json.loads(record.read_text())
    assert len(history["epochs"]) == 5
    assert not list(checkpoints.iterdir())

    whole = seq2seq("run", "--config", job, "--output", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr.decode()
    (record,) = (tmp_path / "whole").glob("artifacts/Trainer/model_run/*/history.json")
    for key in ("seed", "versions", "inputs", "identity"):
        assert json.loads(record.read_text())[key] == history[key]
    expected = exported(tmp_path / "whole")
    assert len(expected) > 10 and exported(tmp_path / "out") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no pair was kept"),
        (b"one\ntwo\tthree\tfour\n\n", "wrong_field_count 2"),
        (b"\xff\xfe\ta\n\0\tb\n", "invalid_utf8 1, nul_byte 1"),
    ],
)
def test_a_file_without_one_good_pair_stops_the_run_with_its_reasons(tmp_path, content, message):
    (tmp_path / "pairs.tsv").write_bytes(content)
    job = write_job(tmp_path, "bad")
    done = seq2seq("run", "--config", job, "--output", "out", cwd=tmp_path)
    assert done.returncode == 5  # the data gate
    error = done.stderr.decode()
    assert "PairExampleGen" in error
    assert message in error
    assert "Traceback" not in error
    # The launcher removes what a component wrote that fails: the rows are kept elsewhere.
    kept = Path(error.split("All rejected rows: ")[1].split("\n")[0])
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(rows) == len(content.splitlines())
    assert all(f"{row['reason']} " in error and f":{row['line']}: " in error for row in rows)


def test_pairs_that_break_a_limit_stop_the_run_before_anything_is_learned(tmp_path):
    (tmp_path / "pairs.tsv").write_text("".join(f"{w}\t{w}\n" for w in words(1, 100)))
    job = write_job(tmp_path, "limited")
    job.write_text(f"{job.read_text()}data_validation: {{max_identical: 0.2}}\n")
    done = seq2seq("run", "--config", job, "--output", "out", cwd=tmp_path)
    assert done.returncode == 5  # the data gate
    error = done.stderr.decode()
    assert "BitextValidator: data_validation.max_identical: found 1, at most 0.2" in error
    assert error.count("' / '") == 10
    assert not (tmp_path / "out/artifacts/TokenizerTrainer").exists()
    page = Path(error.split("All that was found: ")[1].split("\n")[0])
    assert "max_identical: found 1" in page.read_text()
    found = json.loads((page.parent / "statistics.json").read_text())
    assert found["faults"]["identical"] == found["pairs"] > 90


ALWAYS = "type: BYTES presence { min_fraction: 1 min_count: 1 }"
SCHEMA = f"""
feature {{ name: "source" {ALWAYS} shape {{ dim {{ size: 1 }} }} }}
feature {{ name: "target" {ALWAYS} shape {{ dim {{ size: 1 }} }} domain: "letters" }}
feature {{ name: "references" {ALWAYS} value_count {{ min: 1 }} }}
string_domain {{ name: "letters" value: "a" value: "b" }}
"""


def test_examples_that_are_not_as_a_curated_schema_has_them_stop_the_run(tmp_path):
    (tmp_path / "pairs.tsv").write_text("".join(f"{w}\tab\n" for w in words(1, 100)))
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    job = write_job(tmp_path, "curated")
    job.write_text(job.read_text() + "data_validation: {schema_file: schema.pbtxt}\n")
    done = seq2seq("run", "--config", job, "--output", "out", cwd=tmp_path)
    error = done.stderr.decode()
    assert done.returncode == 5 and "Traceback" not in error
    assert "data_validation.schema_file: found 3, at most 0" in error
    assert "target in train: Examples contain values missing from the schema: ab" in error
    (imported,) = (tmp_path / "out/artifacts/ImportedSchema").glob("schema/*/schema.pbtxt")
    assert imported.read_text() == SCHEMA
