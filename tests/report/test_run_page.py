"""The promises of a run's page: all of it is shown, nothing of it acts, and it is alone."""

import html.parser
import re

import numpy as np
import pytest

from seq2seq_tfx.report.charts import Epoch
from seq2seq_tfx.report.heat_map import heat_map
from seq2seq_tfx.report.run_page import Component, Example, Group, Run, render, with_newer

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "\u202eright to left\u2066",
    "\x00\x07\u2028\r\n\t\ud800\ufffe",
    "שלום עולם",
    "x" * 10_000,
    "word " * 5_000,
    " ",
]
VOID = {"meta", "img", "input"}


def verdict(text="plain", **changes):
    figures = {"bleu": 31.5, "empty_rate": 0.0}
    intervals = {"bleu": [30.0, 33.0], "empty_rate": [0.0, 0.0]}
    rule = {
        "rule": "bleu >= 20", "kind": "threshold", "metric": "bleu", "slice": "test split",
        "sentences": 700, "figure": 31.5, "limit": 20.0, "bound": None, "confidence": None,
        "p_value": None, "passed": True, "note": "",
    }  # fmt: skip
    compared = rule | {
        "rule": f"bleu in {text} less than 1 worse than the last blessed model",
        "kind": "non-inferiority", "figure": -0.5, "limit": 1.0, "bound": 0.25,
        "confidence": 0.95, "p_value": 0.003, "note": text,
    }  # fmt: skip
    return {
        "blessed": True, "rules": [rule, compared], "examples": 700, "candidate": figures,
        "baseline": {"bleu": 31.0, "empty_rate": 0.0}, "confidence": 0.95,
        "intervals": {"candidate": intervals, "baseline": intervals},
        "signatures": {"bleu": "nrefs:1|case:mixed"},
        "slices": [{"slice": f"domain={text}", "examples": 12, "small": True,
                    "candidate": figures, "baseline": None}],
        **changes,
    }  # fmt: skip


def run(text="plain", **changes):
    example = Example(text, text[::-1], 2, text, text, text)
    picture = heat_map(["a", text[:50] or "b"], ["c"], np.array([[0.25, 0.75]]), len)
    fields = {
        "name": text or "job", "when": "now", "released": False, "outcome": "not blessed",
        "components": [Component("Trainer", "done", 75.4), Component("Gate", "cached", 0.0)],
        "counts": {"read": 1234, "accepted": 1200, "rejected": {"empty_line": 34},
                   "examples": {"train": 1100, "test": 100}},
        "verdict": verdict(text), "faults": [text],
        "epochs": [Epoch(2.0 / (i + 1), 1.5) for i in range(3)],
        "groups": [Group("Furthest", text, [example])], "pictures": [picture],
    }  # fmt: skip
    return Run(**{**fields, **changes})


class Page(html.parser.HTMLParser):
    """What a browser makes of a page: elements, attributes, text, and whether they nest."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self.open = [], "", []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th", "div") else ""

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_becomes_markup_and_nothing_runs_or_is_fetched(text):
    source = render(run(text))
    page, plain = Page(source), Page(render(run()))
    assert page.open == []
    # The same elements as with harmless text: none was made, none was closed.
    shape = [tag for tag, _ in page.elements if tag not in ("del", "ins", "span")]
    assert shape == [tag for tag, _ in plain.elements if tag not in ("del", "ins", "span")]
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "link", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("data:image/svg+xml;base64,", "#"))
    assert "http" not in re.sub(r"http-equiv", "", source)
    source.encode("utf-8")
    # What could turn the reading direction of the page, or hide, is shown as its number.
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\u2028]", source)
    assert len(source) < 100_000


def test_the_policy_forbids_scripts_and_the_network():
    (policy,) = (a["content"] for t, a in Page(render(run())).elements if "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_text_is_shown_as_it_is():
    page = Page(render(run("<b>fish & chips</b>")))
    assert page.text.count("<b>fish & chips</b>") >= 4
    assert "[U+202E]right to left[U+2066]" in Page(render(run(HOSTILE[5]))).text


def test_the_page_tells_verdict_metrics_slices_sentences_data_and_times():
    text = " ".join(Page(render(run())).text.split())
    for told in (
        "not blessed", "bleu ≥ 20: 31.50", "(bound 0.2500 at 95 %, p = 0.003, 700 sentences)",
        "30.00 to 33.00", "nrefs:1|case:mixed", "domain=plain small 12", "1,234 pairs read",
        "empty_line 34", "Trainer done 1 min 15 s", "Gate cached", "and 2 more",
    ):  # fmt: skip
        assert told in text, told


def test_where_words_differ_is_marked_on_both_sides():
    example = Example("s", "the old cat sat", 0, "the cat sat down", None, "")
    source = render(run(groups=[Group("Furthest", "", [example])]))
    assert "<del>old</del>" in source and "<ins>down</ins>" in source
    assert "<del>the" not in source


def test_what_is_no_number_is_said_and_not_drawn():
    broken = verdict()
    for model in ("candidate", "baseline"):
        broken[model] = {"bleu": None, "empty_rate": 0.0}
        broken["intervals"][model] = {"bleu": [None, None], "empty_rate": [0.0, 0.0]}
    for rule in broken["rules"]:
        rule |= {"figure": None, "bound": None, "passed": False}
    text = Page(render(run(verdict=broken))).text
    assert "no number" in text and "nan" not in text.lower().replace("nano", "")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf")])
def test_a_figure_that_is_not_finite_is_no_number(value):
    shown = verdict()
    shown["candidate"]["bleu"] = value
    assert "no number" in Page(render(run(verdict=shown))).text


def test_of_very_many_slices_the_judged_and_the_largest_are_told_and_how_many_are_not():
    told = verdict()
    told["rules"][1]["slice"] = "document=7"
    one = told["slices"][0]
    told["slices"] = [{**one, "slice": f"document={i}", "examples": i} for i in range(20_000)]
    source = render(run(verdict=told))
    text = Page(source).text
    assert "document=7 " in text and "document=19999 " in text and "document=8 " not in text
    assert "19,800 more are left out here" in text and len(source) < 200_000
    assert "left out here" not in Page(render(run())).text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_page_tells_of_the_newest_run_without_a_verdict_and_its_reason_is_text(text):
    once = with_newer(render(run()), "failed", "yesterday", text)
    twice = Page(with_newer(once, "stopped", "today", text))
    assert twice.open == [] and not any(tag in ("script", "img", "svg") and a.get("onerror")
                                        for tag, a in twice.elements)  # fmt: skip
    assert [a for tag, a in twice.elements if tag == "aside"] == [
        {"class": "card", "id": "newer", "role": "status"}
    ]
    assert "today, came to no verdict" in twice.text and "yesterday" not in twice.text


def test_a_first_run_without_baseline_epochs_sentences_or_pictures_has_a_page():
    first = verdict(baseline=None, slices=[], signatures={})
    page = Page(render(run(verdict=first, epochs=[], groups=[], pictures=[], faults=[])))
    assert page.open == []
    assert "last blessed one" not in page.text and "Learning" not in page.text


@pytest.mark.parametrize(
    "epochs",
    [[Epoch(1.0, None)], [Epoch(1.0, 1.0)] * 2, [Epoch(float("nan"), 0.5)] * 3,
     [Epoch(1e-9, 2e-9)], [Epoch(5.0 - i / 100, 4.0) for i in range(400)]],
)  # fmt: skip
def test_any_curve_lies_in_its_plot(epochs):
    source = render(run(epochs=epochs))
    points = re.findall(r'points="([^"]*)"', source)
    assert points
    for x, y in (point.split(",") for line in points for point in line.split()):
        assert 56 <= float(x) <= 628 and 12 <= float(y) <= 184


def test_a_loss_is_told_by_its_own_epoch_where_those_before_have_none():
    source = render(run(epochs=[Epoch(3.0, None), Epoch(2.0, float("inf")), Epoch(1.0, 1.5)]))
    told = re.findall(r"<title>validation loss of epoch (\d+): ([\d.]+)", source)
    assert told == [("3", "1.5000")]
