"""Bar charts: as long as their values say, and said in words."""

from seq2seq_tfx.report.bars import Bar, bar_chart
from seq2seq_tfx.report.svg import to_svg


def test_bars_are_as_long_as_their_values_and_empty_ends_are_left_out():
    picture = bar_chart("T", [Bar("a", 0), Bar("b", 4), Bar("c", 0), Bar("d", 1), Bar("e", 0)])
    lengths = [r.width for r in picture.rectangles if r.tooltip]
    assert lengths[0] == 4 * lengths[2] > 0 and lengths[1] == 0
    assert picture.description == "b: 4; c: 0; d: 1"
    assert {label.text for label in picture.labels} >= {"T", "b", "c", "d"}
    assert all(r.y + r.height <= picture.height for r in picture.rectangles)


def test_no_bars_are_a_picture_too():
    assert "nothing" in to_svg(bar_chart("T", []))
