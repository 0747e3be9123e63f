"""Characters are seen in the order that UAX #9 gives them, worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq_tfx.report.bidi import is_right_to_left, levels, visual_order


def seen(text):
    return "".join(text[i] for i in visual_order(levels(text)))


@pytest.mark.parametrize(
    ("read", "from_the_left"),
    [
        ("▁abc!", "▁abc!"),
        ("אבג", "גבא"),
        ("▁אב", "בא▁"),  # P2: the first strong character makes the line right to left
        ("aאבb", "aבאb"),
        ("אבab", "abבא"),
        ("אב12", "12בא"),  # numbers go from left to right wherever they are
        ("12אב", "בא12"),
        ("a12אב", "a12בא"),  # W7: a number after a letter goes with it
        ("aאב12", "a12בא"),
        ("ب1,2", "1,2ب"),  # W2 and W4: an Arabic number with its separator
        ("א1+2", "1+2א"),  # W4
        ("א$5", "$5א"),  # W5: the sign of a currency goes with the number
        ("א$", "$א"),  # W6: and else with what is around it
        ("אa!", "!aא"),  # N2
        ("א-ב", "ב-א"),  # N1
        ("a(אב)b", "a(בא)b"),
        ("א\u05b0ב", "ב\u05b0א"),  # W1: a mark goes with its letter
    ],
)
def test_a_line_is_seen_in_its_order(read, from_the_left):
    assert seen(read) == from_the_left


def test_deeper_levels_turn_within_those_around_them():
    # The example of L2: car MEANS CAR=, with numbers inside.
    assert visual_order([0, 0, 1, 1, 2, 2, 1, 0]) == [0, 1, 6, 4, 5, 3, 2, 7]
    assert visual_order([]) == []


@pytest.mark.parametrize(
    ("text", "rtl"), [("", False), ("▁12", False), ("▁aא", False), ("(א a", True), ("،ب", True)]
)
def test_the_first_letter_decides_where_a_line_begins(text, rtl):
    assert is_right_to_left(text) == rtl


@given(st.text("aא ب1,.$+!\u05b0", max_size=12))
def test_every_character_is_seen_once(text):
    assert sorted(visual_order(levels(text))) == list(range(len(text)))
