"""What a client reads from a reply, however a server wrote it."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from seq2seq_tfx.serving.client.grpc_messages import GrpcMessages
from seq2seq_tfx.serving.local_model import ModelError
from seq2seq_tfx.serving.server.tensor_protos import write_output

MESSAGES = GrpcMessages("seq2seq", None, "")


@pytest.mark.parametrize(
    "values",
    [
        np.array([b"one", b"", "\0 語".encode()], object),
        np.array([[b"a", b"b"], [b"c", b"d"]], object),
        np.array([], object),
        np.array([[-0.5, -1.25]], np.float32),
        np.zeros((2, 0, 3), np.float32),
        np.full((2, 2), -1.5, np.float32),
        np.array([3, 4], np.int32),
        np.array([3, 4], np.int64),
    ],
    ids=str,
)
def test_tensors_are_read_as_our_server_and_as_tensorflow_writes_them(values):
    reply = predict_pb2.PredictResponse()
    write_output(values, reply.outputs["ours"])
    dtype = tf.string if values.dtype == object else values.dtype
    reply.outputs["theirs"].CopyFrom(tf.make_tensor_proto(values, dtype, values.shape))
    for found in MESSAGES.outputs(reply.SerializeToString()).values():
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values, strict=True)


@pytest.mark.parametrize("sizes", [[2], [-1, -1], [1, 2]])
def test_a_tensor_that_does_not_hold_what_it_tells_is_no_answer(sizes):
    reply = predict_pb2.PredictResponse()
    reply.outputs["text"].dtype = tf.string.as_datatype_enum
    reply.outputs["text"].string_val.extend([b"a", b"b", b"c"])
    for size in sizes:
        reply.outputs["text"].tensor_shape.dim.add(size=size)
    with pytest.raises(ModelError, match="expected tensors that hold what they tell"):
        MESSAGES.outputs(reply.SerializeToString())
