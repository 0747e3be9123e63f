"""The promises of the gate's rules: what passes at, beyond and without a bound, and by evidence."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from seq2seq_tfx.components.evaluation import Evaluation
from seq2seq_tfx.components.export_cost import Cost
from seq2seq_tfx.components.judgement import (
    BROKEN_BEYOND,
    WHOLE,
    Bounds,
    GateConfig,
    judge,
    metric_intervals,
)
from seq2seq_tfx.components.sentences import BASELINE, CANDIDATE, Statistics

NAN = math.nan
SOUND = dict.fromkeys(BROKEN_BEYOND, 0.0)
SER = "sequence_error_rate"


def thresholds(config: dict, candidate: dict) -> list[bool]:
    rules = judge(GateConfig(**config), Evaluation(10, {**SOUND, **candidate}))
    return [rule.passed for rule in rules if rule.metric not in BROKEN_BEYOND]


def answers(candidate, baseline, slices=None):
    """Statistics of wrong (1) and right (0) answers of both models."""

    def of(wrong):
        return {SER: np.array([[float(w), 1.0] for w in wrong])}

    labels = slices or [{} for _ in candidate]
    return Statistics(
        [{"set": "test", **label} for label in labels],
        {CANDIDATE: of(candidate), BASELINE: of(baseline)},
    )


def compare(statistics, **config):
    """The rules that compare with the baseline."""
    gate = GateConfig(thresholds={SER: {"max": 1.0}}, **config)
    rules = judge(gate, Evaluation(10, {**SOUND, SER: 0.0}), statistics)
    return [rule for rule in rules if rule.kind == "non-inferiority"]


def wrong(seed, size, share):
    return np.random.default_rng(seed).random(size) < share


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
    assert thresholds({"thresholds": {"bleu": bounds}}, {"bleu": figure}) == expected


@pytest.mark.parametrize("bounds", [{"min": -1e308}, {"max": 1e308}, {"min": 0.0}])
def test_no_number_passes_no_threshold(bounds):
    assert thresholds({"thresholds": {"bleu": bounds}}, {"bleu": NAN}) == [False]


@pytest.mark.parametrize("name", BROKEN_BEYOND)
def test_a_broken_generator_is_refused_unless_the_job_says_otherwise(name):
    def passed(**more):
        config = GateConfig(thresholds={"bleu": {"min": 0.0}, **more})
        figures = {**SOUND, "bleu": 90.0, name: BROKEN_BEYOND[name] + 0.01}
        return all(rule.passed for rule in judge(config, Evaluation(10, figures)))

    assert not passed()
    assert passed(**{name: {"max": 1.0}})


def test_a_model_is_not_inferior_when_the_bound_of_its_loss_is_below_the_margin():
    baseline = wrong(1, 2000, 0.3)
    # 20 of 2,000 answers worse, 10 better: a loss of 0.005, and a standard error of 0.0027.
    candidate = baseline.copy()
    candidate[np.flatnonzero(~baseline)[:20]] = True
    candidate[np.flatnonzero(baseline)[:10]] = False
    (rule,) = compare(answers(candidate, baseline), max_loss={SER: 0.012})
    assert rule.figure == pytest.approx(0.005)
    assert rule.bound == pytest.approx(0.005 + 1.645 * 0.0027, abs=0.0008)
    assert rule.p_value < 0.05 and rule.passed
    assert (rule.slice, rule.sentences, rule.confidence) == (WHOLE, 2000, 0.95)
    # The loss alone would be within this margin; that it is cannot be said with confidence.
    (rule,) = compare(answers(candidate, baseline), max_loss={SER: 0.006})
    assert rule.figure <= 0.006 < rule.bound
    assert rule.p_value > 0.05 and not rule.passed


def test_a_better_model_may_not_pass_where_too_few_sentences_tell():
    (rule,) = compare(answers([0, 1, 0, 0], [1, 0, 1, 0]), max_loss={SER: 0.1})
    assert rule.figure < 0 and not rule.passed


def test_metrics_that_rise_lose_by_falling():
    scores = np.random.default_rng(3).random((500, 1))
    worse = {"rouge1": np.hstack([scores * 0.9, np.ones((500, 1))])}
    better = {"rouge1": np.hstack([scores, np.ones((500, 1))])}
    slices = [{"set": "test"}] * 500
    config = {"max_loss": {"rouge1": 0.01}}
    (rule,) = compare(Statistics(slices, {CANDIDATE: worse, BASELINE: better}), **config)
    assert rule.figure > 0.04 and not rule.passed
    (rule,) = compare(Statistics(slices, {CANDIDATE: better, BASELINE: worse}), **config)
    assert rule.figure < -0.04 and rule.passed


def test_an_equal_model_passes_any_margin_but_none_at_all():
    equal = wrong(5, 300, 0.5)
    (rule,) = compare(answers(equal, equal), max_loss={SER: 1e-6})
    assert (rule.figure, rule.bound, rule.passed) == (0, 0, True)
    # No margin asks for a better model, and for evidence of it.
    (rule,) = compare(answers(equal, equal), max_loss={SER: 0.0})
    assert not rule.passed
    (rule,) = compare(answers(equal & (np.arange(300) > 100), equal), max_loss={SER: 0.0})
    assert rule.passed


def test_without_a_baseline_the_thresholds_alone_decide():
    alone = Statistics([{"set": "test"}], {CANDIDATE: {SER: np.array([[1.0, 1.0]])}})
    assert compare(alone, max_loss={SER: 0.0}, critical={"domain": {SER: 0.0}}) == []
    config = {"thresholds": {"bleu": {"min": 20.0}}}
    assert thresholds(config, {"bleu": 20.0}) == [True]
    assert thresholds(config, {"bleu": 19.0}) == [False]


def test_a_critical_slice_is_held_to_its_margin_whatever_the_whole_says():
    baseline = wrong(7, 1000, 0.2)
    candidate = baseline.copy()
    candidate[:100] = True  # names are lost
    slices = [{"domain": "names" if i < 150 else "rest"} for i in range(1000)]
    statistics = answers(candidate, baseline, slices)
    whole, names = compare(statistics, max_loss={SER: 0.2}, critical={"domain=names": {SER: 0.2}})
    assert whole.passed and not names.passed
    assert (names.slice, names.sentences) == ("domain=names", 150)
    assert "in domain=names less than 0.2 worse" in names.rule
    # A dimension alone means each of its slices.
    rules = compare(statistics, critical={"domain": {SER: 0.2}})
    assert {rule.slice: rule.passed for rule in rules} == {
        "domain=names": False,
        "domain=rest": True,
    }


def test_several_critical_slices_need_more_confidence_each():
    equal = wrong(9, 900, 0.3)
    slices = [{"domain": "abc"[i % 3]} for i in range(900)]
    rules = compare(answers(equal, equal, slices), critical={"domain": {SER: 0.01}})
    assert sorted(rule.confidence for rule in rules) == pytest.approx(
        [0.95, 1 - 0.05 / 2, 1 - 0.05 / 3]
    )
    assert all(rule.passed for rule in rules)


def test_a_critical_slice_that_is_too_small_or_empty_does_not_pass_and_says_so():
    equal = wrong(9, 400, 0.3)
    slices = [{"domain": "few" if i < 99 else "many"} for i in range(400)]
    rules = compare(
        answers(equal, equal, slices), critical={"domain": {SER: 0.5}, "other": {SER: 0.5}}
    )
    found = {rule.slice: rule for rule in rules}
    assert {name: rule.passed for name, rule in found.items()} == {
        "domain=few": False, "domain=many": True, "other": False,
    }  # fmt: skip
    assert "too small to decide: 99 sentences" in found["domain=few"].note
    assert "too small to decide: 0 sentences" in found["other"].note


def test_critical_slices_of_several_dimensions_are_their_combinations():
    equal = wrong(9, 900, 0.3)
    labels = [{"domain": "ab"[i % 2], "length": "1" if i < 700 else "2"} for i in range(900)]
    statistics = answers(equal, equal, [*labels[:899], {"domain": "c", "length": "1"}])
    rules = compare(statistics, critical={"length, domain": {SER: 0.5}})
    assert {rule.slice: (rule.sentences, rule.passed) for rule in rules} == {
        "domain=a, length=1": (350, True), "domain=b, length=1": (350, True),
        "domain=a, length=2": (100, True), "domain=b, length=2": (99, False),
        "domain=c, length=1": (1, False),
    }  # fmt: skip
    assert sum("too small to decide" in rule.note for rule in rules) == 2
    (rule,) = compare(statistics, critical={"length=2, domain=a": {SER: 0.5}})
    assert rule.slice == "domain=a, length=2" and "in domain=a, length=2 less" in rule.rule


@pytest.mark.parametrize("names", [("domain=a", "domain"), ("length, domain", "domain, length")])
@pytest.mark.parametrize("margins", [(0.01, 0.5), (0.5, 0.01)])
def test_of_several_margins_of_a_critical_slice_the_strictest_holds(names, margins):
    equal = wrong(9, 400, 0.3)
    statistics = answers(equal, equal, [{"domain": "a", "length": "1"}] * 400)
    critical = {name: {SER: margin} for name, margin in zip(names, margins, strict=True)}
    (rule,) = compare(statistics, critical=critical)
    assert rule.limit == 0.01


def test_a_critical_slice_may_be_that_of_the_empty_label():
    equal = wrong(9, 400, 0.3)
    labels = [{"domain": "" if i < 150 else "named"} for i in range(400)]
    (rule,) = compare(answers(equal, equal, labels), critical={"domain=": {SER: 0.5}})
    assert (rule.slice, rule.sentences, rule.passed) == ("domain=", 150, True)


@pytest.mark.parametrize(
    ("candidate", "baseline", "loss"),
    [(1.5, 1.0, 0.5), (1.0, 1.5, -0.5), (0.5, 1.0, 0.5), (0.9, 1.1, 0.0)],
)
def test_answers_may_be_too_long_and_too_short(candidate, baseline, loss):
    def of(ratio):
        return {"length_ratio": np.array([[10 * ratio, 10.0]] * 200)}

    statistics = Statistics(
        [{"set": "test"}] * 200, {CANDIDATE: of(candidate), BASELINE: of(baseline)}
    )
    (rule,) = compare(statistics, max_loss={"length_ratio": 0.1})
    assert rule.figure == pytest.approx(loss) and rule.passed is (loss < 0.1)


def test_sentences_outside_of_the_test_split_do_not_count_in_the_whole():
    equal = wrong(2, 200, 0.3)
    worse = np.append(equal, [True] * 200)
    slices = [{} for _ in range(200)] + [{"set": "challenge"} for _ in range(200)]
    statistics = answers(worse, np.append(equal, [False] * 200), slices)
    (rule,) = compare(statistics, max_loss={SER: 0.01})
    assert rule.sentences == 200 and rule.passed


def test_no_number_passes_no_comparison():
    equal = answers([0, 1] * 100, [0, 1] * 100)
    equal.measures[CANDIDATE][SER][3, 0] = NAN
    (rule,) = compare(equal, max_loss={SER: 100.0})
    assert not rule.passed


def test_intervals_hold_the_figure_of_each_model():
    statistics = answers(wrong(1, 1000, 0.3), wrong(2, 1000, 0.5))
    config = GateConfig(thresholds={SER: {"max": 1.0}})
    found = metric_intervals(statistics, config)
    for model, centre in ((CANDIDATE, 0.3), (BASELINE, 0.5)):
        low, high = found[model][SER]
        assert low < statistics.measures[model][SER].mean(axis=0)[0] < high
        assert high - low == pytest.approx(
            2 * 1.96 * math.sqrt(centre * (1 - centre) / 1000), rel=0.2
        )


def test_a_gate_without_rules_or_that_none_could_pass_is_refused():
    with pytest.raises(ValidationError, match="at least 1 item"):
        GateConfig(thresholds={})
    with pytest.raises(ValidationError, match="thresholds\n  Field required"):
        GateConfig(max_loss={"bleu": 1.0})
    with pytest.raises(ValidationError, match="expected min, max or both, received neither"):
        Bounds()
    with pytest.raises(ValidationError, match=r"of at most max \(0\.2\), received 0\.9"):
        Bounds(min=0.9, max=0.2)
    assert Bounds(min=0.0, max=0.0).max == 0.0
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        GateConfig(thresholds={"bleu": {"min": 1.0}}, max_loss={"bleu": -0.1})


@pytest.mark.parametrize(
    ("cost", "passed"),
    [
        (Cost(10.0, 20.0, 5), [True, True]),
        (Cost(10.1, 20.1, 5), [False, False]),
        (Cost(10.0), [True, False]),  # InfraValidator had no answer
        (None, [False, False]),
    ],
)
def test_size_and_latency_have_limits_that_are_met_at_the_limit(cost, passed):
    config = GateConfig(thresholds={SER: {"max": 1.0}}, max_size_mb=10, max_latency_ms=20)
    rules = judge(config, Evaluation(10, {**SOUND, SER: 0.0}), cost=cost)[-2:]
    assert [(r.kind, r.metric, r.passed) for r in rules] == [
        ("cost", "size_mb", passed[0]),
        ("cost", "latency_ms", passed[1]),
    ]
    assert all(bool(r.note) == math.isnan(r.figure) for r in rules)


def test_a_baseline_that_does_not_tell_a_metric_releases_nothing_and_says_why():
    statistics = Statistics(
        [{"set": "test"}] * 200,
        {
            CANDIDATE: {"perplexity": np.tile([2.0, 1.0], (200, 1))},
            BASELINE: {"perplexity": np.zeros((200, 2))},
        },
    )
    (rule,) = compare(statistics, max_loss={"perplexity": 1.0})
    assert not rule.passed and "does not tell perplexity" in rule.note
