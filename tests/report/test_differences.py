"""The promises of differences: what two texts share is unmarked, whatever their size."""

import pytest

from seq2seq_tfx.report.differences import MOST, difference


def marked(spans):
    return [("*" if span.differs else "") + span.text for span in spans]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "first", "second"),
    [
        ("a b c", "a b c", ["a b c"], ["a b c"]),
        ("a b c", "a x c", ["a", "*b", "c"], ["a", "*x", "c"]),
        ("a b", "", ["*a b"], []),
        ("", "a", [], ["*a"]),
        ("a b", "a b c d", ["a b"], ["a b", "*c d"]),
        ("kitten", "sitten", ["*k", "itten"], ["*s", "itten"]),  # by characters
        ("字母", "字典", ["字", "*母"], ["字", "*典"]),
    ],
)
def test_spans_are_marked_where_the_sides_differ(reference, hypothesis, first, second):
    found = difference(reference, hypothesis)
    assert (marked(found.reference), marked(found.hypothesis)) == (first, second)


def test_very_long_texts_are_cut_and_say_so():
    found = difference("a " * 10_000, "b" * 100_000)
    assert found.reference[-1].text == f"… {10_000 - MOST} more"
    assert sum(len(span.text) for side in found for span in side) < 1000
