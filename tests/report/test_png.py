"""The PNG shows the same picture, its text shaped."""

import io

import numpy as np
import pytest
from PIL import Image

from seq2seq_tfx.report import png
from seq2seq_tfx.report.fonts import Fonts
from seq2seq_tfx.report.heat_map import heat_map
from seq2seq_tfx.report.picture import Label, Picture, Rectangle
from seq2seq_tfx.report.shaping import Shaper

BEH = "\u0628"


def pixels(picture, fonts):
    return np.asarray(Image.open(io.BytesIO(png.to_png(picture, fonts))).convert("RGB")).astype(int)


def written(text, fonts, width=200, height=100, **place):
    """The ink of one label, 0 to 255."""
    label = Label(text, **{"x": 100, "y": 60, "size": 20, **place})
    return 255 - pixels(Picture(width, height, "", "", [], [label]), fonts).min(axis=2)


def box(ink):
    """Left, top, right and bottom of what is written, in pixels of the picture."""
    rows, columns = np.nonzero(ink.any(axis=1))[0], np.nonzero(ink.any(axis=0))[0]
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / png.SCALE


def test_each_cell_has_its_colour(bare):
    attention = np.array([[0.9, 0.1, 0.0], [0.25, 0.25, 0.5]])
    picture = heat_map(["a", "b", "c"], ["d", "e"], attention, Shaper(bare).width)
    image = pixels(picture, bare)
    found = [part for part in picture.rectangles if part.tooltip]
    assert len(found) == 6
    for cell in found:
        x, y = (cell.x + cell.width / 2) * png.SCALE, (cell.y + cell.height / 2) * png.SCALE
        assert tuple(image[int(y), int(x)]) == cell.fill


def test_a_rectangle_has_its_size_and_no_more(bare):
    picture = Picture(20, 10, "", "", [Rectangle(3, 2, 5, 4, (0, 0, 0))], [])
    ink = 255 - pixels(picture, bare).min(axis=2)
    assert ink.shape == (20, 40) and box(ink).tolist() == [3, 2, 8, 6]


def test_arabic_letters_are_drawn_joined(joining):
    joined = written(BEH * 3, joining)
    apart = written("\u200c".join(BEH * 3), joining)
    assert joined.any() and apart.any() and (joined != apart).any()
    # The font draws the letter at the end, in the middle and at the beginning as these.
    np.testing.assert_array_equal(joined, written("BCD", Fonts([])))
    np.testing.assert_array_equal(apart, written("AAA", Fonts([])))


def test_an_installed_arabic_font_joins_as_well():
    fonts = Fonts()
    word = "سلام"
    if fonts.missing([word]):
        pytest.skip("no installed font knows Arabic")
    assert (written(word, fonts) != written("\u200c".join(word), fonts)).any()
    assert (written(word, fonts) != written(word[::-1], fonts)).any()


def test_an_installed_emoji_font_draws_in_colour(bare):
    fonts = Fonts()
    face = fonts.choose("😀")
    if face is None or not face.face.has_color_png:
        pytest.skip("no installed font has emoji as bitmaps")
    for angle in (0, -90):
        label = Label("😀", 50, 60, 20, "middle", angle)
        image = pixels(Picture(100, 100, "", "", [], [label]), fonts)
        assert (image.max(axis=2) - image.min(axis=2)).max() > 100  # yellow
        left, top, right, bottom = box(255 - image.min(axis=2))
        assert 15 < right - left < 30 and 15 < bottom - top < 30
        assert left < 50 < right if not angle else top < 60 < bottom


def test_a_label_is_held_where_its_anchor_says(bare):
    width = Shaper(bare).width("HH") * 20
    for anchor, start in (("left", 0), ("middle", -width / 2), ("right", -width)):
        left, top, right, bottom = box(written("HH", bare, anchor=anchor))
        assert left == pytest.approx(100 + start, abs=2.5)
        assert right == pytest.approx(100 + start + width, abs=2.5)
        assert bottom == pytest.approx(60, abs=1) and 40 < top < 48


def test_a_label_is_turned_about_its_anchor(bare):
    level = box(written("HH", bare))
    up = box(written("HH", bare, angle=-90))
    # x to the right becomes y upwards, and what was above is on the left.
    expected = [100 - (60 - level[1]), 60 - (level[2] - 100), 100, 60 - (level[0] - 100)]
    assert up == pytest.approx(np.array(expected), abs=1)
    left, top, right, bottom = box(written("HHHH", bare, angle=-45))
    assert right - left == pytest.approx(bottom - top, abs=1.5)
    assert right > 130 and top < 30 and bottom < 62


def test_what_no_font_knows_is_a_box_and_what_draws_nothing_is_nothing(bare):
    assert written("中", bare).any()
    assert not written(" ", bare).any() and not written("", bare).any()


def test_a_large_picture_is_drawn_smaller(bare, monkeypatch):
    monkeypatch.setattr(png, "MOST_PIXELS", 10_000)
    image = pixels(Picture(400, 100, "", "", [Rectangle(0, 0, 200, 100, (0, 0, 0))], []), bare)
    assert image.shape == (50, 200, 3)
    assert not image[:, :100].any() and image[:, 100:].all()
