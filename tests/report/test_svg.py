"""The SVG is XML that holds every token as text, and nothing that acts."""

from xml.etree import ElementTree

import numpy as np
import pytest

from seq2seq_tfx.report.heat_map import heat_map
from seq2seq_tfx.report.picture import Label, Picture
from seq2seq_tfx.report.svg import to_svg

SVG = "{http://www.w3.org/2000/svg}"


def parse(source, target):
    attention = np.full((len(target), len(source)), 1 / len(source))
    picture = heat_map(source, target, attention, lambda text: 0.6 * len(text))
    return ElementTree.fromstring(to_svg(picture).encode())


def texts(root):
    """What is written, without tooltips."""
    found = []
    for element in root.iter(f"{SVG}text"):
        for title in element.findall(f"{SVG}title"):
            title.text = ""
        found.append("".join(element.itertext()))
    return found


TOKENS = [
    "▁Über", "机器", "▁مرحبا", "क्षि", "👩‍👩‍👧", "e\u0301", "<script>", "]]>", "&amp;", "\"'",
    "<!--", "</text>", "%s{0}\\g<0>",
]  # fmt: skip


def test_every_token_is_there_as_it_is():
    written = texts(parse(TOKENS, TOKENS[::-1]))
    for token in TOKENS:
        assert written.count(token) == 2
    columns = [text for text in written if text in TOKENS][: len(TOKENS)]
    assert columns == TOKENS


@pytest.mark.parametrize(
    "attack",
    [
        "</title><script>alert(1)</script>",
        "</desc><script>alert(1)</script>",
        "</text><script>alert(1)</script>",
        '"/><script>alert(1)</script>',
        "\" onload='alert(1)'",
        "<![CDATA[<script>",
        "<!ENTITY x>&x;",
    ],
)
def test_no_token_can_add_an_element_or_an_attribute(attack):
    harmless, attacked = parse(["a", "b"], ["c"]), parse([attack, "b"], [attack])
    for inside in (harmless, attacked):
        assert {element.tag.removeprefix(SVG) for element in inside.iter()} <= {
            "svg", "title", "desc", "g", "rect", "text", "tspan",
        }  # fmt: skip
    names = [{name for element in root.iter() for name in element.attrib} for root in
             (harmless, attacked)]  # fmt: skip
    assert names[1] - names[0] <= {"transform"}
    assert attack in ElementTree.tostring(attacked, "unicode", "text").replace("␣", " ")


def test_what_xml_cannot_hold_is_replaced_and_not_lost():
    label = Label("a\x00b\ud800c\uffffd\u0001", 0, 0, 10)
    root = ElementTree.fromstring(to_svg(Picture(10, 10, "\x0b", "\ufffe", [], [label])).encode())
    assert texts(root) == ["a\ufffdb\ufffdc\ufffdd\ufffd"]


def test_a_label_is_held_at_the_same_end_in_either_direction():
    labels = [
        Label(text, 0, 0, 10, anchor) for text in ("ab", "▁אב") for anchor in ("left", "right")
    ]
    labels.append(Label("▁אב", 0, 0, 10, "middle"))
    root = ElementTree.fromstring(to_svg(Picture(10, 10, "", "", [], labels)).encode())
    written = [(e.get("direction"), e.get("text-anchor")) for e in root.iter(f"{SVG}text")]
    # "start" of a right-to-left text is its right end.
    assert written == [
        ("ltr", "start"), ("ltr", "end"), ("rtl", "end"), ("rtl", "start"), ("rtl", "middle"),
    ]  # fmt: skip


def test_the_picture_has_a_name_and_a_description_and_each_cell_a_tooltip():
    root = parse(["a", "b"], ["c"])
    ids = root.get("aria-labelledby").split()
    named = {e.get("id"): e.text for e in root.iter() if e.get("id")}
    assert root.get("role") == "img" and all(named[name] for name in ids)
    tooltips = [e.find(f"{SVG}title") for e in root.iter(f"{SVG}rect")]
    assert [tip.text for tip in tooltips if tip is not None] == [
        "target: c\nsource: a\nweight: 0.5000",
        "target: c\nsource: b\nweight: 0.5000",
    ]
