"""The promises of the gate: what passes at, beyond and without a bound."""

import json
import math

import pytest
from pydantic import ValidationError
from tfx.types import standard_artifacts

from seq2seq_tfx.components import gate
from seq2seq_tfx.components.artifacts import GateVerdict
from seq2seq_tfx.components.evaluator import CANDIDATE, Evaluation
from seq2seq_tfx.components.gate import Bounds, GateConfig, judge

NAN = math.nan


def passed(config: dict, candidate: dict, baseline: dict | None = None) -> list[bool]:
    of_baseline = None if baseline is None else Evaluation(10, baseline)
    rules = judge(GateConfig(**config), Evaluation(10, candidate), of_baseline)
    return [rule.passed for rule in rules]


@pytest.mark.parametrize(
    ("bounds", "figure", "expected"),
    [
        ({"min": 20.0}, 20.0, [True]),
        ({"min": 20.0}, math.nextafter(20.0, 0), [False]),
        ({"max": 0.4}, 0.4, [True]),
        ({"max": 0.4}, math.nextafter(0.4, 1), [False]),
        ({"min": 0.0, "max": 0.4}, 0.2, [True, True]),
        ({"min": 0.3, "max": 0.4}, 0.2, [False, True]),
        ({"min": 0.3, "max": 0.4}, 0.5, [True, False]),
        ({"min": 0.0}, -0.0, [True]),
    ],
)
def test_a_threshold_passes_what_reaches_it(bounds, figure, expected):
    assert passed({"thresholds": {"bleu": bounds}}, {"bleu": figure}) == expected


@pytest.mark.parametrize("bounds", [{"min": -1e308}, {"max": 1e308}, {"min": 0.0}])
def test_no_number_passes_no_threshold(bounds):
    assert passed({"thresholds": {"bleu": bounds}}, {"bleu": NAN}) == [False]


@pytest.mark.parametrize(("candidate", "baseline"), [(NAN, 0.5), (0.5, NAN), (NAN, NAN)])
@pytest.mark.parametrize("name", ["chrf", "sequence_error_rate"])
def test_no_number_passes_no_comparison(name, candidate, baseline):
    config = {"thresholds": {"bleu": {"min": 0.0}}, "max_loss": {name: 100.0}}
    rules = passed(config, {"bleu": 1.0, name: candidate}, {"bleu": 1.0, name: baseline})
    assert rules == [True, False]


@pytest.mark.parametrize(
    ("name", "baseline", "candidate", "expected"),
    [  # fractions that a float holds exactly, so that the bound itself can be hit
        ("bleu", 30.0, 29.5, True),
        ("bleu", 30.0, 29.375, False),
        ("bleu", 30.0, 90.0, True),
        ("chrf", 30.0, 29.5, True),
        ("chrf", 30.0, 29.375, False),
        ("sequence_error_rate", 0.25, 0.75, True),
        ("sequence_error_rate", 0.25, 0.875, False),
        ("sequence_error_rate", 0.75, 0.0, True),
        ("token_error_rate", 0.25, 0.75, True),
        ("token_error_rate", 0.25, 0.875, False),
    ],
)
def test_a_loss_may_be_as_large_as_the_limit_in_the_metrics_own_direction(
    name, baseline, candidate, expected
):
    config = {"thresholds": {name: {"min": 0.0}}, "max_loss": {name: 0.5}}
    assert passed(config, {name: candidate}, {name: baseline}) == [True, expected]


def test_without_a_baseline_the_thresholds_alone_decide():
    config = {"thresholds": {"bleu": {"min": 20.0}}, "max_loss": {"bleu": 0.0, "chrf": 0.0}}
    assert passed(config, {"bleu": 20.0}) == [True]
    assert passed(config, {"bleu": 19.0}) == [False]


def test_a_limit_of_nothing_lets_an_equal_model_pass():
    config = {"thresholds": {"bleu": {"min": 0.0}}, "max_loss": {"bleu": 0.0}}
    assert passed(config, {"bleu": 20.1}, {"bleu": 20.1}) == [True, True]
    assert passed(config, {"bleu": 20.0}, {"bleu": 20.1}) == [True, False]


def test_a_gate_without_rules_is_refused():
    with pytest.raises(ValidationError, match="at least 1 item"):
        GateConfig(thresholds={})
    with pytest.raises(ValidationError, match="thresholds\n  Field required"):
        GateConfig(max_loss={"bleu": 1.0})
    with pytest.raises(ValidationError, match="expected min, max or both, received neither"):
        Bounds()
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        GateConfig(thresholds={"bleu": {"min": 1.0}}, max_loss={"bleu": -0.1})


@pytest.mark.parametrize(("figure", "blessed"), [(25.0, 1), (5.0, 0), (NAN, 0)])
def test_blessing_and_verdict_say_the_same_and_are_json(tmp_path, monkeypatch, figure, blessed):
    evaluations = {CANDIDATE: Evaluation(7, {"bleu": figure})}
    monkeypatch.setattr(gate, "read_evaluation", lambda uri, model: evaluations.get(model))
    blessing, verdict = standard_artifacts.ModelBlessing(), GateVerdict()
    for artifact, name in ((blessing, "blessing"), (verdict, "verdict")):
        artifact.uri = str(tmp_path / name)
        (tmp_path / name).mkdir()
    model = standard_artifacts.Model()
    model.id, model.uri = 42, "where/it/lies"
    config = GateConfig(thresholds={"bleu": {"min": 20.0}})

    gate.Executor().Do(
        {"evaluation": [standard_artifacts.ModelEvaluation()], "model": [model]},
        {"blessing": [blessing], "verdict": [verdict]},
        {"gate_config": config.model_dump_json()},
    )

    def no_json(constant):
        raise AssertionError(f"{constant} is no JSON")

    told = json.loads((tmp_path / "verdict/verdict.json").read_text(), parse_constant=no_json)
    number = None if math.isnan(figure) else figure
    assert told == {
        "blessed": bool(blessed), "examples": 7, "baseline": None, "candidate": {"bleu": number},
        "rules": [{"rule": "bleu >= 20", "figure": number, "passed": bool(blessed)}],
    }  # fmt: skip
    assert blessing.get_int_custom_property("blessed") == blessed
    assert blessing.get_int_custom_property("current_model_id") == 42
    files = [path.name for path in (tmp_path / "blessing").iterdir()]
    assert files == ["BLESSED" if blessed else "NOT_BLESSED"]
