"""Glyphs stand where a reader of their script expects them."""

import pytest

from seq2seq_tfx.report.fonts import Fonts
from seq2seq_tfx.report.shaping import Shaper

BEH = "\u0628"


@pytest.fixture
def letters(joining):
    """The ASCII letters whose glyphs a text is drawn with, from the left."""
    font = joining.choose(BEH).font
    own = Fonts([]).last_resort.font
    name = {own.get_nominal_glyph(ord(letter)): letter for letter in "ABCD_x"}
    assert font.get_nominal_glyph(ord(BEH)) in name
    return lambda text: "".join(
        name[glyph.glyph_id] for glyph in Shaper(joining).shape(text).glyphs
    )


def test_arabic_letters_join_and_go_from_right_to_left(letters):
    assert letters(BEH) == "A"
    assert letters(BEH * 2) == "BD"
    assert letters(BEH * 4) == "BCCD"
    assert letters(f"{BEH}\u200c{BEH}") == "AA"  # the non-joiner


def test_the_mark_of_a_word_start_is_on_the_side_where_the_word_starts(letters, joining):
    assert letters(f"▁{BEH * 2}") == "BD_"
    assert letters("▁x") == "_x"
    glyphs, _ = Shaper(joining).shape(f"▁{BEH}")
    assert [glyph.is_space for glyph in glyphs] == [False, True]


def test_the_width_is_that_of_all_runs(joining):
    width = Shaper(joining).width
    assert width("") == 0
    assert width(f"A{BEH}A") == pytest.approx(2 * width("A") + width(BEH))
    glyphs, _ = Shaper(joining).shape(f"A{BEH}")
    assert [glyph.x for glyph in glyphs] == [0, pytest.approx(width("A"))]


def test_what_no_font_knows_is_a_box_as_wide_as_it_will_be(bare):
    glyphs, width = Shaper(bare).shape("中文")
    assert [(glyph.glyph_id, glyph.x) for glyph in glyphs] == [(0, 0), (0, 1)]
    assert width == 2
    assert Shaper(bare).width("हि") == pytest.approx(1.2)


def test_a_vowel_sign_of_devanagari_goes_before_its_consonant():
    fonts = Fonts()
    if fonts.missing(["कि"]):
        pytest.skip("no installed font knows Devanagari")
    shape = Shaper(fonts).shape
    consonant = shape("क").glyphs[0].glyph_id
    # It is written after it, and drawn before it.
    assert [glyph.glyph_id for glyph in shape("कि").glyphs].index(consonant) == 1
    assert [glyph.glyph_id for glyph in shape("का").glyphs].index(consonant) == 0
    assert shape("क्ष").width < shape("क").width + shape("ष").width  # a conjunct


def test_chinese_characters_take_the_forms_of_the_language_around_them():
    fonts = Fonts()
    if fonts.missing(["直の"]):
        pytest.skip("no installed font knows Japanese")
    forms = {Shaper(fonts, [around]).shape("直").glyphs[0].glyph_id for around in ("直", "の")}
    if len(forms) == 1:
        pytest.skip("the installed font knows one form")
    assert Shaper(fonts, ["直", "한"]).shape("直").glyphs  # Korean
