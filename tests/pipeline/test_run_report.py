"""The promises of a run's report: the sentences that a person should see, from the artifacts."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from seq2seq_tfx.components.sentence_files import schema_of, to_table
from seq2seq_tfx.components.sentences import BASELINE, CANDIDATE, compare, new_row
from seq2seq_tfx.pipeline import run_report
from seq2seq_tfx.pipeline.run_report import write_report
from seq2seq_tfx.pipeline.summary import NodeRun, RunSummary

NAMES = ["sequence_error_rate", "repetition_rate"]


def row(source, references, candidate, baseline=None, names=NAMES):
    found = new_row(source, references, {"set": "test"})
    for model, text in ((CANDIDATE, candidate), (BASELINE, baseline)):
        if text is not None:
            found[model] = {"text": text, "score": -0.5, "log_prob": -1.25}
    return compare(found, names)


def groups(rows, metric="sequence_error_rate"):
    return {
        group.title: [example.source for example in group.examples]
        for group in run_report._groups(rows, metric)
    }


def test_sentences_are_sorted_into_groups_the_worst_first():
    rows = [
        row("right", ["a b"], "a b", "a b"),
        row("near", ["a b c d e"], "a b c d x", "a b c d e"),
        row("far", ["a b c"], "x y z", "u v w"),
        row("won", ["a b c d e"], "a b c d e", "q"),
        row("again", ["a b"], "a b " * 8, "a b " * 8),
    ]
    found = groups(rows)
    assert found["Furthest from their references"] == ["again", "far", "near"]
    assert found["Lost"] == ["near"]
    assert found["Won"] == ["won"]
    assert found["Repeating themselves"] == ["again"]


def test_a_short_answer_that_is_right_is_won_by_bleu():
    rows = [row("short", ["a b"], "a b", "x y", names=["bleu", "repetition_rate"])]
    assert groups(rows, "bleu") == {"Won": ["short"]}


def test_without_a_baseline_nothing_is_lost_or_won():
    assert groups([row("a", ["b"], "c")]) == {"Furthest from their references": ["a"]}
    assert groups([row("a", ["b"], "b")]) == {}


def test_no_more_sentences_are_held_than_shown(monkeypatch):
    monkeypatch.setattr(run_report, "SHOWN", 3)
    text = "a sentence without any repetition"
    rows = (row(f"s{i:03}", [text], text[:i]) for i in range(len(text)))
    assert groups(rows) == {"Furthest from their references": ["s000", "s001", "s002"]}


def test_the_closest_reference_is_shown():
    (group,) = run_report._groups([row("s", ["far away", "nearly"], "nearby", "x")], NAMES[0])
    (example,) = group.examples
    assert (example.reference, example.more_references) == ("nearly", 1)
    assert "of the last blessed model 1" in example.note and "-1.25" in example.note


@pytest.mark.parametrize("pushed", ["there", None])
def test_the_report_is_one_file_in_the_output_folder(tmp_path, pushed):
    sentences, model_run = tmp_path / "sentences", tmp_path / "model_run"
    sentences.mkdir(), model_run.mkdir()
    rows = [row(f"s{i}", ["a b"], "a c") for i in range(5)]
    table = to_table(rows, schema_of([], [CANDIDATE], NAMES))
    pq.write_table(table, sentences / "sentences-00000-of-00001.parquet")
    attention = {
        "source_tokens": ["a", "</s>"],
        "target_tokens": ["b", "</s>"],
        "attention": [[0.9, 0.1], [0.2, 0.8]],
    }
    (sentences / "attention.jsonl").write_text(json.dumps(attention) + "\n")
    epochs = [{"loss": 2.0, "val_loss": 1.5}, {"loss": 1.0, "val_loss": 1.2}]
    (model_run / "history.json").write_text(json.dumps({"epochs": epochs}))
    rule = {
        "rule": "r", "kind": "threshold", "metric": NAMES[0], "slice": "test split",
        "sentences": 5, "figure": 1.0, "limit": 1.0, "bound": None, "confidence": None,
        "p_value": None, "passed": bool(pushed), "note": "",
    }  # fmt: skip
    verdict = {
        "blessed": bool(pushed), "rules": [rule], "examples": 5, "candidate": {NAMES[0]: 1.0},
        "baseline": None, "confidence": 0.95, "intervals": {CANDIDATE: {NAMES[0]: [1.0, 1.0]}},
        "signatures": {}, "slices": [],
    }  # fmt: skip
    counts = {"read": 9, "accepted": 9, "rejected": {}, "examples": {"test": 5}}
    summary = RunSummary(
        [NodeRun("Gate", "done", 0.1)], counts, verdict, {"faults": []}, pushed, sentences,
        model_run,
    )  # fmt: skip
    page = write_report("job", summary, tmp_path, ["the margin of <b> is narrow"])
    assert page == tmp_path / "report.html"
    told = Path(page).read_text("utf-8")
    assert ("blessed and pushed" if pushed else "not blessed") in told
    assert "Note: the margin of &lt;b&gt; is narrow." in told
    assert told.count("<figure>") == 1 and "<polyline" in told
    assert page.stat().st_size < 5_000_000
