"""The error browser tells what a model told of its answers, and nothing where it told nothing."""

import re
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq2seq_tfx.report.dashboard.library import Library
from seq2seq_tfx.report.dashboard.sentences import Sentences
from seq2seq_tfx.report.dashboard.sentences_page import sentence_page, sentences_page


def quotients(metric, sums):
    return np.array([a / b if b else np.nan for a, b in sums.tolist()])


LIBRARY = Library(
    loss=lambda metric, values: values,
    figures=quotients,
    sentence_figures=quotients,
    resample=lambda pair, resamples: pair,
    interval=lambda values: (0.0, 1.0),
)
OF_ATTENTION = {"coverage_deviation": 0.25, "ignored_source": 0.75}


def answer(confidence):
    told = {} if confidence is None else {"confidence": confidence}
    statistics = {"errors": [1, 2]}
    return {"text": "a", "score": -0.5, "log_prob": -1.5, **told, "statistics": statistics}


STORE, RUN = SimpleNamespace(name="s"), SimpleNamespace(id=1, pipeline="p", started=0.0)


def written(folder, row):
    pq.write_table(pa.Table.from_pylist([row]), folder / "sentences-0.parquet")
    return Sentences(folder)


def source_of(found):
    return SimpleNamespace(
        sentences=lambda store, run: found,
        metric=lambda store, run: "errors",
        model_folder=lambda store, run: None,
        library=LIBRARY,
    )


def test_the_page_of_a_sentence_shows_the_whole_of_it_and_marks_the_answer_besides(tmp_path):
    words = " ".join(f"w{i}" for i in range(300))
    long = "y" * 500
    texts = {name: f"{name} <b>{words} {long}" for name in ("s", "r", "a")}
    row = {"id": "ab", "source": texts["s"], "references": [texts["r"]]}
    row |= {"slices": {"set": "test"}, "candidate": {**answer(None), "text": texts["a"]}}
    page = sentence_page(source_of(written(tmp_path, row)), STORE, RUN, "ab", asks=False)
    for text in texts.values():
        assert f'<bdi dir="auto">{text.replace("<", "&lt;").replace(">", "&gt;")}</bdi>' in page
    assert "<ins>a</ins>" in page and "<del>r</del>" in page


def test_a_metric_that_no_model_tells_is_on_no_page_of_sentences(tmp_path):
    row = {"id": "ab", "source": "s", "references": ["c"], "slices": {"set": "test"}}
    row |= {"candidate": answer(None)}
    row["candidate"]["statistics"]["silent"] = [0, 0]
    source = source_of(written(tmp_path, row))
    for page in (
        sentences_page(source, STORE, RUN, {"metric": "silent"}),
        sentence_page(source, STORE, RUN, "ab", asks=False),
    ):
        assert "errors" in page and "silent" not in page and "nan" not in page


def test_why_the_attention_of_a_sentence_is_not_drawn_is_said(tmp_path):
    row = {"id": "ab", "source": "s", "references": ["c"], "slices": {"set": "test"}}
    source = source_of(written(tmp_path, row | {"candidate": answer(None)}))
    told = {"text": "a", "score": 0.0, "log_prob": 0.0, "target_tokens": ["a"]}
    long = SimpleNamespace(**told, attention=np.full([1, 150], 0.1))
    source.outside = SimpleNamespace(model_errors=())
    source.model = lambda store, run: SimpleNamespace(
        most=1, explain=lambda texts, nbest: [(["s"] * 150, [long])]
    )
    page = sentence_page(source, STORE, RUN, "ab", asks=True)
    assert "the longer side has 150 tokens" in page and "<figure" not in page


@pytest.mark.parametrize("label", ["", "=", "==", "=a", "a=", "a"])
def test_any_label_of_a_slice_can_be_chosen_the_empty_one_as_well(tmp_path, label):
    rows = [
        {"id": f"{i:x}", "source": f"source {i}", "references": ["c"], "candidate": answer(None),
         "slices": {"set": "test", "domain": one}}
        for i, one in enumerate([label, "another"])
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sentences-0.parquet")
    source = source_of(Sentences(tmp_path))
    every = sentences_page(source, STORE, RUN, {})
    assert "2 of 2 sentences" in every
    select = re.findall(r'<select name="slice.domain">(.*?)</select>', every)[0]
    values = re.findall(r'value="([^"]*)"', select)
    found = [sentences_page(source, STORE, RUN, {"slice.domain": one}) for one in values]
    assert sum("2 of 2 sentences" in page for page in found) == 1  # any label
    (chosen,) = [page for page in found if "1 of 2 sentences" in page and "source 0" in page]
    assert chosen.count(" selected") == 3


@pytest.mark.parametrize(
    ("confidence", "expected", "absent"),
    [
        ({"mean_log_prob": -0.125, **OF_ATTENTION}, ["by token", "75 % of the source"], []),
        ({"mean_log_prob": -0.125}, ["by token"], ["of the source ignored", "covered worst"]),
        (None, ["log-probability"], ["by token", "covered worst"]),  # of an earlier version
    ],
)
def test_confidence_is_told_as_far_as_it_is_known(tmp_path, confidence, expected, absent):
    row = {"id": "ab", "source": "<b>", "references": ["c"], "slices": {"set": "test"}}
    row |= {"candidate": answer(confidence), "baseline": answer(None)}
    found = written(tmp_path, row)
    page = sentences_page(source_of(found), STORE, RUN, {"sort": "ignored"})
    assert all(text in page for text in expected)
    assert not any(text in page for text in absent)
    alone = sentence_page(source_of(found), STORE, RUN, "ab", asks=False)
    assert ("mean log prob" in alone) is (confidence is not None)
    assert np.isfinite(found.figures(LIBRARY, "candidate", "errors")).all()
