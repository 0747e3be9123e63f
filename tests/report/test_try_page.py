"""The page on which a model is tried: fields are checked, all text is text."""

import numpy as np
import pytest

from seq2seq_tfx.report.try_page import (
    LONGEST,
    Attention,
    BadForm,
    Hypothesis,
    read_form,
    render,
)

from .test_run_page import HOSTILE, Page


def test_what_is_left_empty_is_left_to_the_export():
    asked = read_form({"text": "a\r\nb", "beam_size": " 4 ", "top_p": "", "temperature": "0.5"})
    assert asked == ("a b", {"beam_size": 4, "temperature": 0.5})
    assert read_form({"text": "a", "prefix": " x"}).options == {"prefix": " x"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"text": "x" * (LONGEST + 1)}, "at most 16,384 bytes"),
        ({"text": "a", "beam_size": "two"}, "beam_size: expected a whole number"),
        ({"text": "a", "top_p": "nan"}, "top_p: expected -1 to"),
        ({"text": "a", "seed": "9" * 30}, "seed: expected -1 to"),
        ({"text": "\ud800"}, "UTF-8"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(fields, told):
    with pytest.raises(BadForm, match=told):
        read_form(fields)


def page(text):
    attention = Attention([text[:20] or "a", "</s>"], [text[:20] or "b"], np.array([[0.5, 0.5]]))
    shown = [Hypothesis(text, -1.0, -2.0, attention), Hypothesis("", -1.5, -2.0, None)]
    return render({"text": text, "prefix": text}, shown, title=text, about=text)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_becomes_markup(text):
    found, plain = Page(page(text)), Page(page("plain"))
    assert found.open == []
    assert [tag for tag, _ in found.elements] == [tag for tag, _ in plain.elements]
    for tag, attributes in found.elements:
        assert tag not in ("script", "iframe", "object", "link")
        assert not any(name.startswith("on") for name in attributes)


@pytest.mark.parametrize(
    ("tokens", "weight", "told"),
    [
        (120, 0.5, ""),
        (121, 0.5, "the longer side has 121 tokens, and a picture of more than 120"),
        (3, 0.0, "There is no attention to draw"),
        (3, 2.0, "not all weights are from 0 to 1"),
    ],
)
def test_where_no_attention_is_drawn_the_page_says_why(tokens, weight, told):
    attention = Attention(["a"] * tokens, ["b"], np.full([1, tokens], weight))
    found = Page(render({}, [Hypothesis("a", 0.0, 0.0, attention)], title="t", about="a"))
    assert ("figure" in [tag for tag, _ in found.elements]) is not told
    assert told in found.text and ("ttention" in found.text)


def test_a_refusal_is_shown_with_the_form_as_it_was():
    text = Page(render({"text": "kept"}, None, "because", title="t", about="a")).text
    assert "kept" in text and "because" in text
