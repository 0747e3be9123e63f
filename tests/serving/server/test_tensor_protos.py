"""Protocol buffers of strangers: read exactly, or refused before anything is made of them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from seq2seq_tfx.serving.server.errors import RequestError
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.servable import Signature, Tensor
from seq2seq_tfx.serving.server.tensor_protos import read_inputs, write_output

LIMITS = Limits(rows=8)
TAKES = {"text": tf.string, "n": tf.int32}


def read(**protos):
    takes = {name: Tensor(name, TAKES[name], (None,)) for name in protos if name in TAKES}
    return read_inputs(protos, Signature(takes, {}), LIMITS)


def proto(dtype=tf.string, shape=(1,), **values):
    dims = [tensor_pb2.TensorProto().tensor_shape.Dim(size=size) for size in shape]
    made = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, **values)
    made.tensor_shape.dim.extend(dims)
    return made


def test_what_tensorflow_writes_is_read():
    inputs = read(text=tf.make_tensor_proto([b"a", b"\xff"]), n=tf.make_tensor_proto([1, 2]))
    assert inputs["text"].tolist() == [b"a", b"\xff"] and inputs["n"].tolist() == [1, 2]
    assert read(text=tf.make_tensor_proto([], tf.string))["text"].shape == (0,)


def test_packed_content_and_a_value_for_all_are_read_as_upstream_does():
    packed = proto(tf.int32, (2,), tensor_content=np.array([3, 4], "<i4").tobytes())
    assert read(n=packed)["n"].tolist() == [3, 4]
    assert read(n=proto(tf.int32, (3,), int_val=[7]))["n"].tolist() == [7, 7, 7]
    assert read(n=proto(tf.int32, (1,), int_val=[7, 8]))["n"].tolist() == [7]


def test_strings_are_read_as_upstream_does():
    # The lengths first, as `Tensor::AsProtoTensorContent` of C++ writes them.
    packed = proto(shape=(2,), tensor_content=b"\x01\x02abb")
    assert read(text=packed)["text"].tolist() == [b"a", b"bb"]
    packed.string_val.extend([b"c", b"d"])
    assert read(text=packed)["text"].tolist() == [b"a", b"bb"]
    assert read(text=proto(shape=(3,), string_val=[b"a", b"b"]))["text"].tolist() == [
        b"a",
        b"b",
        b"b",
    ]
    assert read(text=proto(shape=(1,), string_val=[b"a", b"b"]))["text"].tolist() == [b"a"]
    assert read(text=proto(shape=(2,)))["text"].tolist() == [b"", b""]


@pytest.mark.parametrize(
    "made",
    [
        proto(shape=(10**15,), string_val=[b"a"]),
        proto(shape=(9,), string_val=[b"a"]),
        proto(shape=(-1,), string_val=[b"a"]),
        proto(shape=(2**62, 2**62), string_val=[b"a"]),
        proto(shape=(), string_val=[b"a"]),
        proto(shape=(1,), tensor_content=b"abc"),
        proto(tf.int32, (1,), int_val=[1]),
        proto(tf.variant, (1,)),
        tensor_pb2.TensorProto(),
    ],
    ids=[
        "vast",
        "rows",
        "negative",
        "overflow",
        "scalar",
        "content",
        "type",
        "variant",
        "nothing",
    ],
)
def test_what_is_no_such_tensor_is_refused(made):
    with pytest.raises(RequestError) as failure:
        read(text=made)
    assert failure.value.code.name == "INVALID_ARGUMENT" and "expected" in failure.value.message


@pytest.mark.parametrize(
    "content", [b"", b"123", b"12345678" * 3], ids=["none", "half a number", "too much"]
)
def test_content_of_another_size_is_refused(content):
    if content:
        with pytest.raises(RequestError):
            read(n=proto(tf.int32, (2,), tensor_content=content))
    else:  # as upstream: zeros
        assert read(n=proto(tf.int32, (2,)))["n"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "values",
    [
        np.array([[b"a", b"\xff"]], object),
        np.array([[1.5, -2.0]], np.float32),
        np.array([1, 2], np.int32),
        np.array([2**40], np.int64),
        np.array([True, False]),
        np.zeros([0, 3], np.float32),
    ],
    ids=lambda values: str(values.dtype),
)
def test_an_output_is_what_tensorflow_reads(values):
    written = tensor_pb2.TensorProto()
    write_output(values, written)
    read_back = tf.make_ndarray(written)
    assert read_back.dtype == values.dtype and read_back.shape == values.shape
    assert read_back.tolist() == values.tolist()


@pytest.mark.parametrize("expected", [None, (), (None,), (2,), (None, 3), (None, None)])
def test_an_input_takes_the_shapes_that_tensorflow_says_fit(expected):
    tensor = Tensor("text", tf.string, expected)
    for shape in ([], [0], [2], [3], [0, 3], [2, 3], [2, 2], [1, 2, 3]):
        assert tensor.takes(shape) == tf.TensorShape(expected).is_compatible_with(shape)
