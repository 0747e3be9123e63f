"""The picture of a load test: every point where its numbers are."""

import math

import pytest

from seq2seq_tfx.report.load_curve import DOT, Point, load_curve

POINTS = [
    Point(10, {"p50": 5.0, "p99": 20.0}, 0.0),
    Point(100, {"p50": 8.0, "p99": 90.0}, 0.25),
    Point(1000, {}, 1.0),
]


def test_every_latency_is_a_dot_and_both_scales_are_of_powers_of_ten():
    picture = load_curve(POINTS, "a title")
    dots = {r.tooltip: (r.x + DOT / 2, r.y + DOT / 2) for r in picture.rectangles if r.tooltip}
    assert len(dots) == 4
    x10, y5 = dots["p50: 5.0 ms at 10 requests/s"]
    x100, y8 = dots["p50: 8.0 ms at 100 requests/s"]
    _, y20 = dots["p99: 20.0 ms at 10 requests/s"]
    told = {label.text: label for label in picture.labels if label.anchor == "middle"}
    assert told["100"].x - told["10"].x == pytest.approx(x100 - x10)
    assert told["1000"].x - told["100"].x == pytest.approx(x100 - x10)
    assert (y5 - y20) / (y5 - y8) == pytest.approx(math.log(20 / 5) / math.log(8 / 5))
    assert all(0 < x < picture.width and 0 < y < picture.height for x, y in dots.values())


def test_what_was_refused_is_told_and_all_of_it_in_words():
    picture = load_curve(POINTS, "a title")
    texts = [label.text for label in picture.labels]
    assert {"25%", "100%", "refused", "a title", "p50", "p99"} <= set(texts)
    assert picture.description == (
        "10 requests/s: p50 5.0 ms, p99 20.0 ms; "
        "100 requests/s: p50 8.0 ms, p99 90.0 ms, 25% refused; "
        "1000 requests/s: nothing answered, 100% refused"
    )
    assert "refused" not in [label.text for label in load_curve(POINTS[:1], "x").labels]


def test_where_nothing_was_answered_there_is_no_curve():
    with pytest.raises(ValueError, match="received none"):
        load_curve(POINTS[2:], "x")
