"""The whole road, as a user walks it: files of pairs in, a pushed model's answers out."""

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from seq2seq_tfx.models import features

from .jobs import SHARED_UNIGRAM, seq2seq, words, write_job

pytestmark = [pytest.mark.slow, pytest.mark.modern]

ROOT = Path(__file__).parent.parent
AFTER_TRAINING = ["Trainer", "Baseline", "Evaluator", "Gate", "InfraValidator", "Pusher"]


def states(output):
    """What the newest run did with each component, from ML Metadata."""
    from seq2seq_tfx.pipeline.summary import summarize

    return {node.node: node.state for node in summarize(output).nodes}


def verdict(output):
    from seq2seq_tfx.pipeline.summary import summarize

    return summarize(output).verdict


@pytest.fixture(scope="module")
def reverse(tmp_path_factory):
    """A finished run that learned to reverse words."""
    folder = tmp_path_factory.mktemp("reverse")
    lines = [f"{word}\t{word[::-1]}" for word in words(1, 6000)]
    lines.insert(3, "no tab here")
    lines.insert(7, "abc\t")
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    done = seq2seq("run", "--config", write_job(folder, "reverse"), "--output", "out", cwd=folder)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b"Exception ignored" not in done.stderr, done.stderr.decode()
    return folder, done.stdout.decode()


def test_reversal_is_learned_and_judged_on_unseen_words(reverse):
    folder, _ = reverse
    found = verdict(folder / "out")
    assert found["blessed"] is True
    assert found["candidate"]["sequence_error_rate"] <= 0.1
    assert found["candidate"]["bleu"] >= 0  # every metric that was asked for is there
    assert found["candidate"]["chrf"] >= 90


def test_the_summary_tells_components_counts_verdict_and_the_next_command(reverse):
    _, printed = reverse
    for component in ("PairExampleGen", "StatisticsGen", "Transform", *AFTER_TRAINING):
        assert component in printed
    assert "2 rejected (empty_target 1, wrong_field_count 1)" in " ".join(printed.split())
    assert "BLESSED and pushed to out/serving/seq2seq/" in printed
    assert "seq2seq predict --model" in printed


def test_the_pushed_model_answers_lines_with_lines(reverse):
    folder, _ = reverse
    unseen = [word for word in words(2, 300) if word not in set(words(1, 6000))][:100]
    stdin = ("\n".join(unseen) + "\n").encode()
    done = seq2seq("predict", "--output", ".", cwd=folder, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    answers = done.stdout.decode().splitlines()
    assert len(answers) == len(unseen)
    right = sum(answer == word[::-1] for answer, word in zip(answers, unseen, strict=True))
    assert right >= 0.85 * len(unseen)


def test_a_file_is_answered_line_by_line_with_scores_and_rejected_rows(reverse):
    folder, printed = reverse
    (folder / "lines.txt").write_bytes(b"abcd\n\xff\nhgf\n")
    model = re.search(r"seq2seq predict --model (\S+)", printed)[1]
    command = ("predict", "--model", model, "--input", "lines.txt", "--output", "answers.jsonl")
    done = seq2seq(*command, cwd=folder)
    assert done.returncode == 1
    assert "1 lines were rejected: their rows in answers.jsonl say why" in done.stderr.decode()
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert [row["hypotheses"][0]["text"] for row in rows[::2]] == ["dcba", "fgh"]
    assert rows[0]["hypotheses"][0]["log_prob"] < 0
    assert rows[1] == {"id": 2, "rejected": "invalid_utf8", "detail": "at byte 1"}


def test_the_report_tells_the_run_with_its_sentences_and_attention(reverse):
    folder, printed = reverse
    assert "report: out/report.html" in printed
    page = (folder / "out" / "report.html").read_text("utf-8")
    assert "blessed and pushed" in page and "<polyline" in page and "source_length=1-4" in page
    assert page.count("<figure>") == 2
    assert len(page) < 5_000_000


def test_training_and_serving_see_the_same_ids(reverse):
    import tensorflow as tf

    from seq2seq_tfx.components.preprocessing import read_tokenizers
    from seq2seq_tfx.serving.tokenizer import source_ids, target_ids

    folder, _ = reverse
    artifacts = folder / "out" / "artifacts"
    tokenizers = read_tokenizers(str(next(artifacts.glob("TokenizerTrainer/tokenizer/*"))))
    text, ids = [], []
    for pattern, spec, rows in (
        ("PairExampleGen/examples/*/Split-train/*", (features.SOURCE, features.TARGET), text),
        ("Transform/transformed_examples/*/Split-train/*", None, ids),
    ):
        files = sorted(map(str, artifacts.glob(pattern)))
        for record in tf.data.TFRecordDataset(files, compression_type="GZIP"):
            example = tf.train.Example.FromString(record.numpy()).features.feature
            if spec:
                rows.append(tuple(example[name].bytes_list.value[0] for name in spec))
            else:
                rows.append(
                    tuple(
                        tuple(example[name].int64_list.value)
                        for name in (features.SOURCE_IDS, features.TARGET_IDS)
                    )
                )
    sources = source_ids(tokenizers[0], tf.constant([row[0] for row in text])).to_list()
    targets = target_ids(tokenizers[1], tf.constant([row[1] for row in text])).to_list()
    served = [(tuple(s), tuple(t)) for s, t in zip(sources, targets, strict=True)]
    assert len(served) > 1000
    assert sorted(served) == sorted(ids)


def test_a_rerun_is_all_cache_and_what_changed_decides_what_runs(reverse):
    folder, _ = reverse
    job, output = folder / "reverse.yaml", folder / "out"
    first = verdict(output)["candidate"]

    again = seq2seq("run", "--config", job, "--output", "out", cwd=folder)
    assert again.returncode == 0, again.stderr.decode()
    assert {name for name, state in states(output).items() if state != "cached"} == {"Baseline"}

    # A learning rate that learns nothing: Trainer and what follows run, nothing
    # before; the gate refuses, and what was pushed stays.
    pushed = sorted((output / "serving" / "seq2seq").iterdir())
    worse = write_job(folder, "reverse", learning_rate=1e-7, epochs=1)
    refused = seq2seq("run", "--config", worse, "--output", "out", cwd=folder)
    assert refused.returncode == 3, refused.stderr.decode()
    assert "NOT BLESSED" in refused.stdout.decode()
    done = {name for name, state in states(output).items() if state == "done"}
    assert done == set(AFTER_TRAINING)
    assert verdict(output)["baseline"] == pytest.approx(first)
    assert sorted((output / "serving" / "seq2seq").iterdir()) == pushed

    # The old settings and other model code: Trainer runs, nothing before.
    package = folder / "changed"
    for room in ("models", "report", "serving", "components", "pipeline"):
        shutil.copytree(ROOT / room, package / "seq2seq_tfx" / room)
    cells = package / "seq2seq_tfx" / "models" / "cells.py"
    cells.write_text(cells.read_text() + "\n# a change\n")
    changed = seq2seq(
        *("run", "--config", write_job(folder, "reverse"), "--output", "out"),
        cwd=folder,
        package=package,
    )
    assert changed.returncode == 0, changed.stdout.decode() + changed.stderr.decode()
    done = {name for name, state in states(output).items() if state == "done"}
    assert done == set(AFTER_TRAINING)
    # Same data, settings and seed: the same model but for the order of additions.
    assert verdict(output)["baseline"] == pytest.approx(first)


def test_a_loss_that_is_no_number_stops_the_run_with_its_batch_and_advice(reverse):
    folder, _ = reverse
    job = write_job(folder, "reverse", learning_rate=1e38)
    done = seq2seq("run", "--config", job, "--output", "out", cwd=folder)
    assert done.returncode == 6
    error = " ".join(done.stderr.decode().split())
    assert re.search("Trainer: the (loss|gradient) is not finite at step", error)
    assert "Lower training.learning_rate (1e+38)" in error
    batch = Path(re.search(r"are in (\S+\.tsv)", error)[1])
    pairs = [line.split("\t") for line in batch.read_text().splitlines()]
    assert len(pairs) == 64
    assert all(target == source[::-1] for source, target in pairs)


def test_the_beam_runner_learns_to_copy_with_a_shared_subword_vocabulary_and_a_tuned_rate(tmp_path):
    generator = random.Random(3)
    pieces = ["an", "ber", "cu", "do", "el", "fi", "gu", "hol"]
    lines = set()
    while len(lines) < 3000:
        text = "".join(generator.choices(pieces, k=generator.randint(1, 3)))
        text += " " + "".join(generator.choices(pieces, k=generator.randint(1, 2)))
        lines.add(f"{text}\t{text}")
    (tmp_path / "pairs.tsv").write_text("\n".join(sorted(lines)) + "\n")
    job = write_job(tmp_path, "copy", tokenizer=SHARED_UNIGRAM, worst=0.2)
    key, rates = "training.learning_rate", [1e-6, 0.01]  # with the first little is learned
    with job.open("a") as file:
        file.write(f"tuning: {{trials: 2, epochs: 1, keys: {{{key}: {rates}}}}}\n")
        file.write("export: {forms: [int8]}\n")
        file.write(f"prediction: {{input: '{tmp_path}/*.txt'}}\n")
    (tmp_path / "new.txt").write_bytes(b"ancu do\n\xff\nfi hol\n")
    done = seq2seq("run", "--config", job, "--output", "out", "--runner", "beam", cwd=tmp_path)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b"Exception ignored" not in done.stderr, done.stderr.decode()
    printed = done.stdout
    assert verdict(tmp_path / "out")["candidate"]["chrf"] >= 90
    (history,) = (tmp_path / "out/artifacts/Trainer/model_run").glob("*/history.json")
    assert json.loads(history.read_text())["tuned"] == {key: 0.01}
    (results,) = (tmp_path / "out/artifacts/Tuner/tuner_results").glob("*")
    trials = [json.loads(file.read_text()) for file in results.glob("trial-*/history.json")]
    losses = sorted(min(epoch["val_loss"] for epoch in trial["epochs"]) for trial in trials)
    (table,) = results.glob("*.json*")
    scores = {row[key]: row["score"] for row in json.loads(table.read_text())}
    assert [scores[rate] for rate in sorted(rates, reverse=True)] == losses

    # Another form of what was pushed: no worse on the test split, smaller, and served as any.
    (plain,) = (tmp_path / "out" / "serving" / "seq2seq").iterdir()
    small = tmp_path / "out" / "exports" / "seq2seq-int8" / plain.name
    (report,) = (tmp_path / "out" / "artifacts").glob("NamedExport-int8/*/*/named_export.json")
    told = json.loads(report.read_text())
    (loss,) = told["losses"]
    assert told["kept"] and loss["bound"] < loss["limit"] == 0.05
    weights = "variables/variables.data-00000-of-00001"
    assert (small / weights).stat().st_size < 0.4 * (plain / weights).stat().st_size
    done = seq2seq("predict", "--model", small, cwd=tmp_path, stdin=b"ancu do\n")
    assert done.stdout == b"ancu do\n", done.stderr.decode()

    # The lines that were waiting for a model.
    assert b"predictions: 2 lines answered, 1 rejected" in printed
    (answers,) = (tmp_path / "out/artifacts/BatchPredictor/predictions").glob("*/*.jsonl")
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [row["hypotheses"][0]["text"] for row in rows[::2]] == ["ancu do", "fi hol"]
    assert rows[1] == {"id": 2, "rejected": "invalid_utf8", "detail": "at byte 1"}


def test_what_counts_little_spoils_little(tmp_path):
    """Each word comes twice, reversed and as it is; only the weights say which is right."""
    import tensorflow as tf

    rows = []
    for i, word in enumerate(words(1, 3000)):
        if i % 10 < 2:
            rows.append(f"{word}\t{word[::-1]}\t1\t{('validation', 'test')[i % 10]}")
        else:
            rows += [f"{word}\t{word[::-1]}\t5e-1\ttrain", f"{word}\t{word}\t0.02\ttrain"]
            rows.append(f"{word}\t{word[:1]}\t0\ttrain")
    rows.insert(4, "abc\tcba\tnan\ttrain")
    (tmp_path / "pairs.tsv").write_text("\n".join(rows) + "\n")
    job = write_job(tmp_path, "weighed", epochs=12)
    weighed = "  columns: {source: 1, target: 2}\n  extra: {sure: 3, part: 4}\n  weight: sure\n"
    splits = "  splits: {train: 80, validation: 10, test: 10}\n"
    assert splits in job.read_text()
    job.write_text(job.read_text().replace(splits, f"{weighed}  splits: {{column: part}}\n"))
    done = seq2seq("run", "--config", job, "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    found = verdict(tmp_path / "out")
    assert found["blessed"] is True and found["candidate"]["sequence_error_rate"] <= 0.1

    artifacts = tmp_path / "out" / "artifacts"
    (rejected,) = artifacts.glob("PairExampleGen/rejected/*/rejected.jsonl")
    (row,) = map(json.loads, rejected.read_text().splitlines())
    assert (row["reason"], row["line"]) == ("bad_weight", 5) and row["file"].endswith("pairs.tsv")
    files = artifacts.glob("Transform/transformed_examples/*/Split-train/*")
    records = tf.data.TFRecordDataset(list(map(str, files)), "GZIP").as_numpy_iterator()
    features_of = [tf.train.Example.FromString(record).features.feature for record in records]
    weights = [round(float(f["weight"].float_list.value[0]), 6) for f in features_of]
    third = len(weights) // 3
    assert {w: weights.count(w) for w in set(weights)} == dict.fromkeys((0.5, 0.02, 0), third)
    (history,) = artifacts.glob("Trainer/model_run/*/history.json")
    counted = json.loads(history.read_text())["train"]
    assert (counted["examples"], counted["of_no_weight"]) == (2 * third, third)
