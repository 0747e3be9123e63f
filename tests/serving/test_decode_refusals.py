"""An option of a request that cannot be had is refused by its name, with its limits and row."""

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.decode_options import INPUTS

from .asking import TEXTS, assert_same, decode, hypotheses, refusal, request

pytestmark = [pytest.mark.slow, pytest.mark.modern]

TOO_MUCH = [
    ("beam_size", 4, "1 to 3"),
    ("beam_size", 0, "1 to 3"),
    ("beam_size", -(2**31), "1 to 3"),
    ("hypotheses", 4, "1 to 3"),
    ("hypotheses", 0, "1 to 3"),
    ("max_length", 9, "1 to 8"),
    ("max_length", 0, "1 to 8"),
    ("max_length", 2**31 - 1, "1 to 8"),
    ("max_length", -(2**31), "1 to 8"),
    ("min_length", 8, "0 to 7"),
    ("min_length", -2, "0 to 7"),
    ("top_k", -2, "0 to 2147483647"),
    ("seed", -(2**31), "0 to 2147483647"),
    ("length_penalty", 5.001, "0 to 5"),
    ("length_penalty", -0.5, "0 to 5"),
    ("coverage_penalty", np.inf, "0 to 5"),
    ("temperature", -2.0, "0 to 100"),
    ("temperature", 100.5, "0 to 100"),
    ("top_p", 0.0, "1e-06 to 1"),
    ("top_p", 1.001, "1e-06 to 1"),
    ("length_penalty", np.nan, "0 to 5"),
    ("coverage_penalty", np.nan, "0 to 5"),
    ("temperature", np.nan, "0 to 100"),
    ("top_p", np.nan, "1e-06 to 1"),
]


@pytest.mark.parametrize(("name", "value", "limits"), TOO_MUCH)
def test_an_option_beyond_its_limit_is_refused_with_both_and_its_row(exported, name, value, limits):
    values = [-1, -1, value, -1]
    message = refusal(exported, ["the fox"] * 4, **{name: values})
    assert f"[{name}: expected -1 (the default) or {limits}" in message
    assert f" in row 2, received {value:.10g}]" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hypotheses": 3, "beam_size": 2}, "hypotheses: expected -1 (the default) or 1 to 2 "),
        ({"min_length": 4, "max_length": 4}, "min_length: expected -1 (the default) or 0 to 3 "),
        ({"prefix": "abcd", "max_length": 4}, "prefix: expected fewer tokens than max_length, 4 "),
        ({"prefix": "ab" * 4}, "prefix: expected fewer tokens than max_length, 8 in row 0, "),
        ({"prefix": "ab" * 50_000}, "in row 0, received 100000]"),
        # Of several faults the one that the others follow from.
        ({"max_length": 0, "min_length": 3, "prefix": "ab"}, "max_length: expected"),
        ({"beam_size": 0, "hypotheses": 2}, "beam_size: expected"),
    ],
)
def test_options_that_do_not_go_together_are_refused(exported, options, message):
    assert message in refusal(exported, ["the fox"], **options)


def test_what_is_allowed_beside_each_other_is_answered(exported):
    found = decode(exported, ["the fox"], beam_size=1, hypotheses=3, temperature=1.0)
    assert len(hypotheses(found)[0]) == 3  # the width is of a search, and this is none


@pytest.mark.parametrize("name", [spec.name for spec in INPUTS[1:]])
@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_an_option_without_one_value_for_each_text_is_refused(exported, name, count):
    inputs = request(["the fox", "x", "quick"])
    inputs[name] = tf.fill([count], "" if name == "prefix" else tf.constant(1, inputs[name].dtype))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        exported.served.signatures[features.DECODE_SIGNATURE](**inputs)
    assert f"[{name}: expected one value for each of 3 texts, received {count}]" in (
        caught.value.message
    )


def test_values_without_a_text_are_refused(exported):
    inputs = {**request([]), "seed": tf.constant([1])}
    with pytest.raises(tf.errors.InvalidArgumentError, match="of 0 texts, received 1"):
        exported.served.signatures[features.DECODE_SIGNATURE](**inputs)


def test_a_refused_request_leaves_nothing_behind(exported):
    before = decode(exported, TEXTS)
    refusal(exported, TEXTS, beam_size=[9] + [-1] * (len(TEXTS) - 1))
    assert_same(decode(exported, TEXTS), before, atol=0)
