"""The promises of differences: what two texts share is unmarked, whatever their size."""

import pytest

from seq2seq_tfx.report.differences import MOST, MOST_CHARACTERS, WORD, difference


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
    found = difference("a " * 10_000, "b " * 100_000)
    assert found.reference[-1].text == f"… {10_000 - MOST} more"
    assert sum(len(span.text) for side in found for span in side) < 1000
    found = difference("a", "b" * 100_000)
    assert found.hypothesis[-1].text == f"… {100_000 - MOST_CHARACTERS} more"


@pytest.mark.parametrize(
    ("beginning", "end"),
    [
        ("w " * 3 * MOST, " end"),  # beyond what is compared
        ("x" * 3 * WORD, "!"),  # within a word that is cut
        ("one " + "x" * 3 * MOST_CHARACTERS, " end"),
        ("\u202e" * WORD, "."),  # a word that takes more room when it can be seen
    ],
)
def test_a_difference_is_visible_wherever_it_is(beginning, end):
    found = difference(f"{beginning}a{end}", f"{beginning}b{end}")
    assert [span.text for span in found.reference if span.differs] == ["a"]
    assert [span.text for span in found.hypothesis if span.differs] == ["b"]
    (head, *_), *_ = found
    if " before … " in head.text:
        number = int(head.text.split()[0])
        whole = len(beginning.split()) if found.between else len(beginning)
        assert number == whole - (MOST if found.between else MOST_CHARACTERS) // 4


def test_words_that_both_sides_have_may_be_long():
    url = "https://example.org/" + "x" * 100
    found = difference(f"see {url} now", f"see {url} then")
    assert [span.text for span in found.hypothesis if span.differs] == ["then"]


def test_a_word_that_ends_in_an_ellipsis_is_a_word():
    found = difference("please wait here\u2026", "please wait there...")
    assert found.between == " "
    assert [span.text for span in found.hypothesis if span.differs] == ["there..."]
    assert difference("a\u200bb c", "a\u200bd c").between == " "
