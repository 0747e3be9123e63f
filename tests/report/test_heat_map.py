"""The heat map says what the matrix says, in the order of the tokens."""

from itertools import pairwise

import numpy as np
import pytest

from seq2seq_tfx.report.heat_map import HeatMapError, color_of, heat_map, strongest


def width_of(text):
    return 0.6 * len(text)


def draw(source, target, attention=None):
    if attention is None:
        attention = np.full((len(target), len(source)), 1 / len(source))
    return heat_map(source, target, np.array(attention), width_of)


def cells(picture):
    return [part for part in picture.rectangles if part.tooltip]


def test_colours_are_darker_for_larger_weights():
    shades = [sum(color_of(share)) for share in np.linspace(0, 1, 101)]
    assert shades == sorted(shades, reverse=True) and len(set(shades)) == 101
    assert color_of(0) == (255, 255, 255)
    assert color_of(-1) == color_of(0) and color_of(2) == color_of(1)


def test_each_cell_has_the_weight_of_its_row_and_column():
    attention = np.array([[0.7, 0.3, 0.0], [0.1, 0.2, 0.7]])
    found = cells(draw(["a", "b", "</s>"], ["X", "</s>"], attention))
    assert len(found) == 6
    columns = sorted({cell.x for cell in found})
    rows = sorted({cell.y for cell in found})
    for cell in found:
        i, j = rows.index(cell.y), columns.index(cell.x)
        target, source = ["X", "</s>"][i], ["a", "b", "</s>"][j]
        assert cell.fill == color_of(attention[i, j] / 0.7)
        assert cell.tooltip == f"target: {target}\nsource: {source}\nweight: {attention[i, j]:.4f}"


def test_the_scale_ends_at_the_largest_weight_in_tenths():
    for most, end in ((0.34, "0.4"), (0.4, "0.4"), (1e-9, "0.1"), (1.0, "1"), (1.0005, "1")):
        picture = draw(["a"], ["b"], [[most]])
        assert end in [label.text for label in picture.labels]
        assert cells(picture)[0].fill == color_of(most / float(end))


@pytest.mark.parametrize("source", [["اب", "جد", "م"], ["مرحبابالعالمكلم", "x", "ك", "و"]])
def test_columns_are_in_the_order_of_the_source_whatever_its_direction(source):
    picture = draw(source, ["a"])
    labels = [label for label in picture.labels if label.text in source]
    assert [label.text for label in sorted(labels, key=lambda label: label.x)] == source
    assert [cell.tooltip.split("\n")[1] for cell in sorted(cells(picture), key=lambda c: c.x)] == [
        f"source: {token}" for token in source
    ]


def test_rows_are_in_the_order_of_the_target():
    target = ["▁b", "▁a", "c"]
    labels = [label for label in draw(["x"], target).labels if label.text in target]
    assert [label.text for label in sorted(labels, key=lambda label: label.y)] == target


@pytest.mark.parametrize(
    "source", [["a"], ["ab", "cd"], ["internationalization", "of"], ["abcd"] * 40, ["x" * 99, "y"]]
)
@pytest.mark.parametrize("target", [["A"], ["X" * 99, "B"]])
def test_everything_is_inside_the_picture_and_no_label_covers_another(source, target):
    picture = draw(source, target)
    heads = []
    for label in picture.labels:
        length = width_of(label.text) * label.size
        start = {"left": 0.0, "middle": -length / 2, "right": -length}[label.anchor]
        turn = np.exp(1j * np.radians(label.angle))
        corners = [
            label.x + 1j * label.y + turn * (along - 1j * across)
            for along in (start, start + length)
            for across in (0, label.size * 0.8)
        ]
        for corner in corners:
            assert 0 <= corner.real <= picture.width and 0 <= corner.imag <= picture.height
        if label.text in source:
            heads.append((label, length))
    for (one, length), (other, _) in pairwise(heads):
        distance = other.x - one.x
        assert distance * np.sin(np.radians(45)) >= one.size if one.angle else distance >= length
    for part in picture.rectangles:
        assert part.x >= 0 and part.x + part.width <= picture.width
        assert part.y >= 0 and part.y + part.height <= picture.height


def test_a_long_token_is_whole_in_its_tooltips():
    token = "x" * 99
    picture = draw([token], ["a"])
    (label,) = [label for label in picture.labels if label.tooltip]
    assert label.text == "x" * 23 + "…" and label.tooltip == token
    assert f"source: {token}\n" in cells(picture)[0].tooltip


def test_the_picture_is_told_in_words():
    picture = draw(["▁a", "\u202eb"], ["▁c", "d e"], [[0.25, 0.75], [1, 0]])
    assert picture.title == "Attention of 2 target tokens over 2 source tokens"
    assert "▁c: [U+202E]b 0.75; d␣e: ▁a 1.00" in picture.description


def test_the_strongest_source_is_the_first_of_equals():
    assert strongest(np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])) == [1, 0]


@pytest.mark.parametrize(
    ("attention", "told"),
    [
        ([[1.0, 0.0]], r"shape \[T, S\] = \[2, 2\], received \[1, 2\]"),
        ([[1.0, 0, 0], [0, 1, 0]], r"received \[2, 3\]"),
        ([1.0, 0.0], r"received \[2\]"),
        ([[np.nan, 0.0], [1.0, 0.0]], "not finite"),
        ([[np.inf, 0.0], [1.0, 0.0]], "not finite"),
        ([[-0.1, 1.1], [1.0, 0.0]], "weights from 0 to 1, received -0.1 to 1.1"),
        ([[0.0, 0.0], [0.0, 0.0]], "zeros alone"),
    ],
)
def test_what_is_no_attention_of_these_tokens_is_refused(attention, told):
    with pytest.raises(HeatMapError, match=told):
        draw(["a", "b"], ["c", "d"], attention)


@pytest.mark.parametrize(("source", "target"), [([], ["a"]), (["a"], []), ([], [])])
def test_a_side_without_tokens_is_refused(source, target):
    with pytest.raises(HeatMapError, match="at least one source and one target token"):
        draw(source, target, np.zeros((len(target), len(source))))
