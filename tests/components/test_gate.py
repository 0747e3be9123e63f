"""The promises of the Gate component: blessing and verdict, from the artifacts of Evaluator."""

import json
import math

import pyarrow.parquet as pq
import pytest
from tfx.types import standard_artifacts

from seq2seq_tfx.components import gate
from seq2seq_tfx.components.artifacts import EvaluatedSentences, GateVerdict
from seq2seq_tfx.components.evaluation import OVERALL, Evaluation
from seq2seq_tfx.components.infra_validator import REPORT
from seq2seq_tfx.components.judgement import GateConfig
from seq2seq_tfx.components.sentence_files import RECORD, schema_of, to_table
from seq2seq_tfx.components.sentences import BASELINE, CANDIDATE, compare, make_record, new_row

NAN = math.nan
NAMES = ["bleu", "empty_rate", "repetition_rate"]
SLICE = (("set", "test"), ("source_length", "1-4"))


def write_sentences(folder, answers):
    """An artifact of one-word sources with the answers of each model."""
    rows = []
    for i in range(30):
        row = new_row(f"s{i}", ["the quick brown fox"], {"set": "test", "source_length": "1-4"})
        row.update({model: {"text": text} for model, text in answers.items()})
        rows.append(compare(row, NAMES))
    table = to_table(rows, schema_of(["source_length"], [*answers], NAMES))
    pq.write_table(table, folder / "sentences-00000-of-00001.parquet")
    (folder / RECORD).write_text(make_record([1], NAMES))


@pytest.fixture
def decide(tmp_path, monkeypatch):
    """Runs the component on figures of the candidate and answers of the models."""

    def run(figure, answers, report=None, told=None, servable=True, **config):
        metrics = {"bleu": figure, "empty_rate": 0.0, "repetition_rate": 0.0, **(told or {})}
        figures = Evaluation(30, metrics)
        found = {model: {OVERALL: figures, SLICE: figures} for model in answers}
        monkeypatch.setattr(gate, "read_evaluation", lambda uri, model: found.get(model, {}))
        artifacts = {
            "blessing": standard_artifacts.ModelBlessing(),
            "verdict": GateVerdict(),
            "sentences": EvaluatedSentences(),
        }
        for name, artifact in artifacts.items():
            artifact.uri = str(tmp_path / name)
            (tmp_path / name).mkdir()
        write_sentences(tmp_path / "sentences", answers)
        model = standard_artifacts.Model()
        model.id, model.uri = 42, str(tmp_path / "model")
        for name, size in (("saved_model.pb", 300_000), ("variables/data", 1_200_000)):
            (tmp_path / "model/Format-Serving" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "model/Format-Serving" / name).write_bytes(b"x" * size)
        asked = {}
        if report is not None:
            infra = standard_artifacts.InfraBlessing()
            infra.uri = str(tmp_path)
            infra.set_int_custom_property("blessed", int(servable))
            (tmp_path / REPORT).write_text(json.dumps(report))
            asked["infra_blessing"] = [infra]
        gate.Executor().Do(
            {
                "evaluation": [standard_artifacts.ModelEvaluation()],
                "sentences": [artifacts["sentences"]],
                "model": [model],
                **asked,
            },
            {name: [artifacts[name]] for name in ("blessing", "verdict")},
            {"gate_config": GateConfig(**config).model_dump_json()},
        )
        told = (tmp_path / "verdict/verdict.json").read_text()
        return json.loads(told, parse_constant=no_json), artifacts["blessing"]

    return run


def no_json(constant):
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize(("figure", "blessed"), [(25.0, 1), (5.0, 0), (NAN, 0)])
def test_blessing_and_verdict_say_the_same_and_are_json(decide, tmp_path, figure, blessed):
    answers = {CANDIDATE: "the quick brown fox"}
    told, blessing = decide(figure, answers, thresholds={"bleu": {"min": 20.0}})
    number = None if math.isnan(figure) else figure
    assert told["blessed"] is bool(blessed)
    assert (told["examples"], told["baseline"]) == (30, None)
    assert told["candidate"]["bleu"] == number
    rule = next(rule for rule in told["rules"] if rule["metric"] == "bleu")
    assert (rule["rule"], rule["figure"], rule["passed"]) == ("bleu >= 20", number, bool(blessed))
    assert told["signatures"]["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a")
    assert told["intervals"]["candidate"]["bleu"] == pytest.approx([100, 100])
    assert blessing.get_int_custom_property("blessed") == blessed
    assert blessing.get_int_custom_property("current_model_id") == 42
    files = [path.name for path in (tmp_path / "blessing").iterdir()]
    assert files == ["BLESSED" if blessed else "NOT_BLESSED"]


@pytest.mark.parametrize("servable", [True, False])
def test_what_infra_validation_refused_is_not_blessed_whatever_its_figures(
    decide, tmp_path, servable
):
    answers = {CANDIDATE: "the quick brown fox"}
    bounds = {"bleu": {"min": 20.0}}
    told, blessing = decide(25.0, answers, {}, servable=servable, thresholds=bounds)
    assert told["blessed"]  # the verdict is on the figures
    assert blessing.get_int_custom_property("blessed") == int(servable)
    files = [path.name for path in (tmp_path / "blessing").iterdir()]
    assert files == ["BLESSED" if servable else "NOT_BLESSED"]


def test_the_verdict_tells_each_comparison_with_its_evidence_and_each_slice(decide):
    answers = {CANDIDATE: "the quick brown cat", BASELINE: "the quick brown fox"}
    config = {"thresholds": {"bleu": {"min": 20.0}}, "max_loss": {"bleu": 2.0}}
    told, _ = decide(60.0, answers, **config)
    assert told["blessed"] is False
    rule = next(rule for rule in told["rules"] if rule["kind"] == "non-inferiority")
    assert rule["sentences"] == 30 and rule["limit"] == 2.0 and rule["confidence"] == 0.95
    assert rule["bound"] == pytest.approx(rule["figure"])  # every sentence loses the same
    assert rule["figure"] > 2 and rule["p_value"] == 1 and not rule["passed"]
    assert told["slices"] == [
        {
            "slice": "source_length=1-4",
            "examples": 30,
            "small": True,
            "candidate": told["candidate"],
            "baseline": told["baseline"],
        }
    ]


@pytest.mark.parametrize(
    ("report", "limit", "passed"),
    [
        ({"latency_ms": 12.5, "timed": 20}, 1e6, True),
        ({"latency_ms": 12.5, "timed": 20}, 1e-6, False),
        ({"latency_ms": None, "timed": 0}, 1e6, False),
        ({}, 1e6, False),  # of an earlier version
        (None, 1e6, False),
    ],
)
def test_size_and_latency_are_told_and_limited(decide, report, limit, passed):
    answers = {CANDIDATE: "the quick brown fox"}
    config = {"thresholds": {"bleu": {"min": 20.0}}, "max_size_mb": 2.0, "max_latency_ms": limit}
    told, _ = decide(25.0, answers, report, **config)
    assert told["blessed"] is passed
    size, latency = told["rules"][-2:]
    assert (size["figure"], size["passed"]) == (1.5, True)
    assert latency["passed"] is passed
    known = (report or {}).get("latency_ms")
    assert told["cost"] == {
        "size_mb": 1.5, "latency_ms": known, "sources": (report or {}).get("timed", 0)
    }  # fmt: skip


@pytest.mark.parametrize("asked", [False, True])
def test_what_a_model_cannot_tell_is_left_out_unless_a_rule_asks(decide, asked):
    thresholds = {"bleu": {"min": 20.0}}
    if asked:
        thresholds["hallucination_rate"] = {"max": 0.1}
    answers = {CANDIDATE: "the quick brown fox"}
    told, _ = decide(25.0, answers, told={"hallucination_rate": NAN}, thresholds=thresholds)
    assert ("hallucination_rate" in told["candidate"]) is asked
    assert ("hallucination_rate" in told["slices"][0]["candidate"]) is asked
    assert told["blessed"] is not asked
