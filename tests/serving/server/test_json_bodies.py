"""JSON of strangers: read exactly, or refused in words."""

import json

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.serving.server.errors import RequestError
from seq2seq_tfx.serving.server.json_bodies import read_body, read_inputs, write_outputs
from seq2seq_tfx.serving.server.servable import Signature, Tensor


def signature(**dtypes):
    return Signature({name: Tensor(name, dtype, (None,)) for name, dtype in dtypes.items()}, {})


def read(content, **dtypes):
    return read_inputs(read_body(content), signature(**dtypes or {"text": tf.string}))


def refused(content, **dtypes):
    with pytest.raises(RequestError) as failure:
        read(content, **dtypes)
    assert failure.value.code.name == "INVALID_ARGUMENT"
    return failure.value.message


def test_rows_and_columns_are_the_same_arrays():
    rows = read(
        b'{"instances": [{"a": "x", "n": 1}, {"n": -2, "a": "y"}]}', a=tf.string, n=tf.int32
    )
    columns = read(b'{"inputs": {"a": ["x", "y"], "n": [1, -2]}}', a=tf.string, n=tf.int32)
    for inputs in (rows, columns):
        assert inputs["a"].tolist() == [b"x", b"y"]
        assert inputs["n"].tolist() == [1, -2] and inputs["n"].dtype == np.int32


def test_strings_are_utf8_or_base64():
    inputs = read(json.dumps({"instances": ["é\U0001f642", {"b64": "/wA="}]}).encode())
    assert inputs["text"].tolist() == ["é\U0001f642".encode(), b"\xff\x00"]


@pytest.mark.parametrize("written", ["/wA=", "/wA", "/w\nA=", " /wA=\t"])
def test_base64_may_be_broken_into_lines_and_lack_its_end(written):
    assert (
        read(json.dumps({"instances": [{"b64": written}]}).encode())["text"].item() == b"\xff\x00"
    )


@pytest.mark.parametrize("written", ["=", "/wA==", "/wA===", "/", "_wA=", "/wA=/wA=", "\u2028/wA="])
def test_what_is_no_base64_is_refused(written):
    assert "base64" in refused(json.dumps({"instances": [{"b64": written}]}).encode())


def test_a_byte_order_mark_before_the_body_is_skipped():
    assert read(b'\xef\xbb\xbf{"instances": ["a"]}')["text"].item() == b"a"


@pytest.mark.parametrize(
    "content",
    [
        b'{"instances": ["a"], "instances": ["b"]}',
        b'{"inputs": {"text": ["a"], "text": ["b"]}}',
        b'{"instances": [{"text": "a", "text": "b"}]}',
    ],
)
def test_of_two_values_of_one_key_none_is_chosen(content):
    assert "twice" in refused(content)


def test_columns_may_have_no_rows():
    assert read(b'{"inputs": []}')["text"].shape == (0,)
    refused(b'{"instances": []}')


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=["lists", "objects", "closed", "shallow enough to read"],
)
def test_deep_nesting_is_refused(content):
    assert len(refused(content)) < 300


@pytest.mark.parametrize(
    "number", ["9" * 400, "9" * 100_000, "1e400", "-1e999", "2147483648", "1.5"]
)
def test_numbers_that_do_not_fit_are_refused(number):
    content = b'{"instances": [%s]}' % number.encode()
    assert len(refused(content, n=tf.int32)) < 300
    if number not in ("2147483648", "1.5"):
        assert len(refused(content, n=tf.float32)) < 300


def test_what_is_no_number_is_left_to_the_graph_where_a_float_is_asked_for():
    inputs = read(b'{"instances": [NaN, -Infinity, 1, 0.5]}', n=tf.float32)
    np.testing.assert_array_equal(inputs["n"], np.array([np.nan, -np.inf, 1, 0.5], np.float32))
    refused(b'{"instances": [NaN]}', n=tf.int32)


@pytest.mark.parametrize("value", ["true", "null", '"1"', "[1]", "{}"])
def test_what_is_no_number_is_no_number(value):
    for dtype in (tf.int32, tf.float32):
        refused(b'{"instances": [%s]}' % value.encode(), n=dtype)


def test_half_a_surrogate_pair_and_other_encodings_are_refused():
    assert "surrogate" in refused(b'{"instances": ["\\ud83d"]}')
    refused('{"instances": ["a"]}'.encode("utf-16"))
    refused(b'{"instances": ["\xff"]}')  # which TensorFlow Serving takes


def test_lists_of_different_lengths_are_refused():
    matrix = Signature({"m": Tensor("m", tf.int32, (None, None))}, {})
    assert read_inputs(read_body(b'{"inputs": [[1, 2], [3, 4]]}'), matrix)["m"].shape == (2, 2)
    with pytest.raises(RequestError, match="one length"):
        read_inputs(read_body(b'{"inputs": [[1, 2], [3]]}'), matrix)


def test_nothing_of_a_text_is_repeated_in_a_refusal():
    for content in (
        b'{"instances": ["secret", 1]}',
        b'{"instances": [["secret"]]}',
        b'{"inputs": {"other": ["secret"]}}',
        b'{"instances": [{"b64": "secret?"}]}',
    ):
        assert "secret" not in refused(content)


OUTPUTS = {
    "text": np.array([[b"a", "é".encode()], [b"\xff", b""]], object),
    "score": np.array([[-0.5, 1.0], [2.0, 3.0]], np.float32),
}


def test_outputs_are_written_by_rows_or_by_columns():
    texts, scores = [["a", "é"], ["\ufffd", ""]], [[-0.5, 1.0], [2.0, 3.0]]
    assert json.loads(write_outputs(OUTPUTS, "inputs")) == {
        "outputs": {"text": texts, "score": scores}
    }
    rows = [{"text": t, "score": s} for t, s in zip(texts, scores, strict=True)]
    assert json.loads(write_outputs(OUTPUTS, "instances")) == {"predictions": rows}
    none = {name: values[:0] for name, values in OUTPUTS.items()}
    assert json.loads(write_outputs(none, "inputs")) == {"outputs": {"text": [], "score": []}}


def test_an_output_that_is_alone_has_no_name_and_bytes_are_base64():
    alone = {"text_bytes": np.array([b"\xff\x00"], object)}
    assert json.loads(write_outputs(alone, "inputs")) == {"outputs": [{"b64": "/wA="}]}
    assert json.loads(write_outputs(alone, "instances")) == {"predictions": [{"b64": "/wA="}]}
