"""Trying a model: an answer is shown with its own attention, whatever was asked for."""

from types import SimpleNamespace

import numpy as np
import pytest

from seq2seq_tfx.report.dashboard.trying import answer
from seq2seq_tfx.report.try_page import Asked


def found(*names):
    """Answers of a search, each with an attention of its own."""
    return [
        SimpleNamespace(
            text=name, score=-1.0, log_prob=-2.0, target_tokens=[name], attention=np.full([1, 1], i)
        )
        for i, name in enumerate(names)
    ]


def model(*signatures):
    return SimpleNamespace(
        most=2,
        has=lambda signature: signature in signatures,
        explain=lambda texts, nbest: [(["x"], found("plain"))],
        decode=lambda text, options: found("drawn", "other"),
        explain_decode=lambda text, options: (["x"], found("drawn", "other")),
    )


@pytest.mark.parametrize(
    ("options", "texts"), [({}, ["plain"]), ({"temperature": 1.0}, ["drawn", "other"])]
)
def test_each_answer_has_the_attention_of_its_own_search(options, texts):
    shown, note = answer(model("explain_decode"), Asked("x", options))
    assert [one.text for one in shown] == texts and note == ""
    for place, one in enumerate(shown):
        assert one.attention.target_tokens == [one.text]
        assert one.attention.weights == [[place]]


def test_an_export_that_tells_none_with_options_is_said_to():
    shown, note = answer(model("decode"), Asked("x", {"beam_size": 1}))
    assert [one.attention for one in shown] == [None, None]
    assert "an earlier version exported this model" in note
