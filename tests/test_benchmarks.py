"""Our side of the benchmarks in a short form: that it learns and decodes, not how fast."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .scripts import script

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    """Loads a benchmark by its name."""

    folders = [str(FOLDER), str(FOLDER / "peers")]
    sys.path[:0] = folders
    yield lambda name: script(f"benchmarks/{name}")
    for folder in folders:
        sys.path.remove(folder)


def asked(script, *arguments):
    done = subprocess.run(
        [sys.executable, FOLDER / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("fed", [0, 1])
def test_the_twin_learns_the_batches_of_the_benchmark(benchmark, tmp_path, fed):
    batches = tmp_path / "batches.npz"
    benchmark("training").write_batches(batches, 2, vocabulary=40)
    sizes = ["--vocabulary", 40, "--hidden", 16, "--epochs", 4, "--rate", 0.02]
    record = asked("training_ours.py", batches, *sizes, "--input-feeding", fed)
    losses = [epoch["loss"] for epoch in record["epochs"]]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.9 * losses[0]
    # 64 targets of 15 to 25 words, each with its EOS.
    assert 2 * 64 * 16 <= record["epochs"][0]["target_tokens"] <= 2 * 64 * 26


def test_both_arms_of_the_gpu_benchmark_learn_alike():
    sizes = ["--hidden", 8, "--vocabulary", 30, "--rounds", 2, "--steps", 2, "--cases", 1]
    (case,) = asked("recurrence_gpu.py", *sizes, "--dry")["cases"]
    losses = case["last_losses"]
    assert 0 < losses["loop"] < 3.4  # the logarithm of 30
    assert abs(losses["loop"] - losses["cudnn"]) < 1e-2


LEARNS = [8.3, 6.4, 6.2]


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ({}, None),
        ({"twin": [6.2, 6.2, 6.2]}, "hidden size 8, twin: expected a loss that falls"),
        ({"default": [float("nan")] * 3}, "hidden size 8, default: expected a loss that falls"),
        ({"twin_unfed": [8.3, 8.2, 7.0]}, "hidden size 8, twin_unfed: .* of joeynmt_unfed"),
    ],
)
def test_the_benchmark_of_training_fails_where_a_side_does_not_learn(
    benchmark, monkeypatch, capsys, losses, told
):
    training = benchmark("training")
    written = {}

    def answer(python, script, *arguments):
        (side,) = (
            name
            for name, (path, extra, _) in training.SIDES.items()
            if script == training.HERE / path and list(arguments[-len(extra) :]) == extra
        )
        course = losses.get(side, LEARNS)
        epochs = [{"target_tokens": 100, "cpu_seconds": 1, "loss": loss} for loss in course]
        return {"epochs": epochs, "parameters": 1, "grown_mib": 1, "versions": {}}

    monkeypatch.setattr(training, "asked", answer)
    monkeypatch.setattr(training, "peer_python", lambda: "python")
    monkeypatch.setattr(training, "write", lambda name, record: written.update(record))
    monkeypatch.setattr(sys, "argv", ["training.py", "--hidden", "8", "--batches", "1"])
    if told:
        with pytest.raises(SystemExit, match=told):
            training.main()
    else:
        training.main()
    assert len(written["measured"]) == len(training.SIDES)
    products = training.multiplications("default", 8, False) / 1e6
    assert re.search(rf"default .* {products:.2f} M products a token", capsys.readouterr().out)


def test_products_are_counted_as_weights_are(benchmark, monkeypatch):
    """Each weight of a product is used once a token; biases, v and embeddings are none."""
    from seq2seq_tfx.models.model_config import ModelConfig
    from seq2seq_tfx.models.seq2seq import count_parameters

    training, ours = benchmark("training"), benchmark("training_ours")
    hidden, vocabulary = 32, training.VOCABULARY
    for model, fed in (("twin", True), ("twin", False), ("default", False)):
        config = ours.model_config(model, hidden, fed)
        assert isinstance(config, ModelConfig)
        counted = count_parameters(config, vocabulary, vocabulary)
        embeddings, bridges = 2 * vocabulary * hidden, 2 * (2 * hidden + 1) * hidden
        biases = 3 * 4 * hidden + (vocabulary if config.output_bias else 0)
        additive = 2 * hidden if model == "twin" else 0  # v, and the query's bias
        products = counted - embeddings - bridges - biases - additive
        assert training.multiplications(model, hidden, fed) == products


def test_all_of_the_pairs_are_read_where_memory_is_measured(benchmark, tmp_path):
    memory = benchmark("training_memory")
    memory.write_files(tmp_path, 80)
    told = asked("training_memory.py", "--read", tmp_path, 3)
    assert told["pairs"] == 240 and told["batches"] == 4 and told["grown_mib"] > 0


def test_both_sides_of_decoding_write_answers_of_the_full_length(benchmark, tmp_path):
    sources = tmp_path / "sources.npy"
    benchmark("decoding").write_sources(sources, 3)
    sizes = ["--vocabulary", 8000, "--hidden", 8, "--beam", 2, "--length", 6]
    where = ["--model", tmp_path / "model", "--batch", 2, "--passes", 1]
    record = asked("decoding_ours.py", sources, *sizes, *where)
    assert record["sources"] == 3 and len(record["seconds"]) == 1
    assert record["longest"] == 5  # words; the last place is EOS's


def test_our_side_of_time_to_quality_tells_bleu_by_minutes(benchmark, tmp_path):
    for split, rows in (("train", 120), ("val", 5), ("test", 3)):
        for side, line in (("source", "{0} a b c"), ("target", "c b a {0}")):
            text = "".join(
                line.format("xyz"[row % 3] * (1 + row % 5)) + "\n" for row in range(rows)
            )
            (tmp_path / f"{split}.{side}").write_text(text)
    quality = benchmark("quality")
    settings = {**quality.SETTINGS, "hidden": 8, "vocabulary": 20, "minutes": 1e-6, "mark": 33}
    (tmp_path / "settings.json").write_text(json.dumps({**settings, **quality.BEAM}))
    record = asked("quality_ours.py", tmp_path)
    (first,) = record["course"]
    assert first["minutes"] > 0 and 0 <= first["bleu"] <= 100 and first["loss"] > 0
    assert (tmp_path / "pieces.txt").read_text("utf-8").count("\n") == 20 - 4
    assert len(record["answers"]) == 3
    course = [first, {"minutes": 9.5, "bleu": 26.0}, {"minutes": 12.0, "bleu": 25.0}]
    told = quality.described({"course": course, "answers": ["a b c d"]}, ["a b c d"])
    assert told["minutes_to"] == {"20": 9.5, "25": 9.5, "30": None, "33": None}
    assert told["best_bleu"] == 26.0 and "answers" not in told
    assert (told["test"]["bleu"], told["test"]["after_minutes"]) == (100.0, 9.5)


def test_our_side_of_time_to_quality_is_written_before_its_peer_fails(
    benchmark, tmp_path, monkeypatch
):
    quality = benchmark("quality")
    for name in ("train.en", "train.de", "val.en", "val.de"):
        (tmp_path / name).write_text("a\n")

    class Done:
        def __init__(self, command):
            self.returncode = int("joeynmt" in command[1])
            self.stdout = json.dumps({"course": [{"minutes": 2.0, "bleu": 21.0}]})

    written = []
    monkeypatch.setattr(quality.subprocess, "run", lambda command, **_: Done(command))
    monkeypatch.setattr(quality, "peer_python", lambda: "python")
    monkeypatch.setattr(quality, "write", lambda name, record: written.append((name, record)))
    monkeypatch.setattr(sys, "argv", ["quality.py", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"joeynmt_quality\.py ended with 1"):
        quality.main()
    ((name, record),) = written
    assert name == "quality" and record["ratios"] == {}
    assert record["measured"]["ours"]["minutes_to"]["20"] == 2.0
    both = dict.fromkeys(("ours", "joeynmt"), record["measured"]["ours"])
    assert quality.ratios_of(both) == {"minutes_to_20": 1.0}


def test_pairs_of_moses_files_stand_line_by_line(benchmark, tmp_path):
    quality = benchmark("quality")
    for name, text in (("train.en", "a\n\nb\n"), ("train.de", "1\n2\n3\n"), ("val.de", "4\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "val.en.gz").write_bytes(gzip.compress(b"c\n"))
    found = quality.pairs_of(tmp_path, "en", "de")
    assert found == {"train": [("a", "1"), ("b", "3")], "val": [("c", "4")]}
    assert quality.pairs_of(tmp_path, "en", "de", "train") == {**found, "test": found["train"]}
    (tmp_path / "val.de").write_text("4\n5\n")
    with pytest.raises(SystemExit, match="1 and 2 lines"):
        quality.pairs_of(tmp_path, "en", "de")


def test_joeynmts_course_is_read_from_its_log(benchmark):
    peer = benchmark("peers/joeynmt_quality")
    score = "INFO - joeynmt.prediction - Evaluation result (greedy): bleu: %6.2f, loss: 3"
    lines = [
        "2026-01-01 10:00:00,000 - INFO - joeynmt.training - EPOCH 1",
        f"2026-01-01 10:01:30,000 - {score % 7.25}",
        f"2026-01-01 10:03:00,500 - {score % 12}",
    ]
    log = "\n".join(lines)
    assert [(round(one["minutes"], 2), one["bleu"]) for one in peer.course_of(log)] == [
        (1.5, 7.25),
        (3.01, 12.0),
    ]


def test_the_dashboard_answers_every_page_of_a_small_store(tmp_path):
    told = asked("dashboard.py", "--runs", 3, "--sentences", 60, "--to", tmp_path / "result.json")
    assert len(told["pages"]) == 13 and told["sentences"] == 60
    assert json.loads((tmp_path / "result.json").read_text()) == told


def test_trainings_of_a_small_job_are_judged_beside_each_other(benchmark, tmp_path):
    sizes = ["--words", 400, "--epochs", 1, "--seeds", 2, "--folder", tmp_path]
    told = asked("gate_seeds.py", *sizes, "--to", tmp_path / "result.json")
    assert told["seeds"] == len(told["figures"]) == told["pairs"] == 2
    assert told["margin"] == benchmark("gate_seeds").MARGIN
    assert told["range"] == [min(told["figures"]), max(told["figures"])]
    assert json.loads((tmp_path / "result.json").read_text()) == told


def test_data_that_is_there_stays_the_file_of_which_trainings_are_cached(benchmark, tmp_path):
    path = tmp_path / "pairs.tsv"
    benchmark("gate_seeds").write_pairs(path, 50)
    os.utime(path, (1, 1))
    benchmark("gate_seeds").write_pairs(path, 50)
    assert path.stat().st_mtime == 1
    benchmark("gate_seeds").write_pairs(path, 60)
    assert path.read_text().count("\n") == 60 and path.stat().st_mtime != 1


def test_seeds_of_the_gate_are_judged_by_the_shipped_margin(benchmark):
    from seq2seq_tfx.pipeline.config import load_config

    seeds = benchmark("gate_seeds")
    shipped = load_config(FOLDER.parent / "pipeline_config.yaml", files=False).gate
    assert shipped.max_loss == {seeds.METRIC: seeds.MARGIN}
