"""Tensors as gRPC carries them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from .errors import invalid
from .limits import Limits
from .servable import Signature, Tensor


def read_inputs(
    protos: Mapping[str, tensor_pb2.TensorProto], signature: Signature, limits: Limits
) -> dict[str, np.ndarray]:
    """Reads the inputs of a request.

    Args:
      protos: by the name of the input.
      signature: what they are for.
      limits: of one request.

    Raises:
      RequestError: INVALID_ARGUMENT where they are not what the signature takes.
    """
    if set(protos) != set(signature.inputs):
        raise invalid(f"expected the inputs {sorted(signature.inputs)}, received {sorted(protos)}")
    return {
        name: _array(name, protos[name], tensor, limits)
        for name, tensor in signature.inputs.items()
    }


def write_output(values: np.ndarray, proto: tensor_pb2.TensorProto) -> None:
    """Writes an output, its values in the fields of their type, as upstream does.

    Args:
      values: strings as objects.
      proto: an empty one, which is filled.
    """
    for size in values.shape:
        proto.tensor_shape.dim.add(size=size)
    if values.dtype == object:
        proto.dtype = types_pb2.DT_STRING
        proto.string_val.extend(values.ravel().tolist())
    elif values.dtype == np.float32:
        proto.dtype = types_pb2.DT_FLOAT
        proto.float_val.extend(values.ravel().tolist())
    elif values.dtype == np.int32:
        proto.dtype = types_pb2.DT_INT32
        proto.int_val.extend(values.ravel().tolist())
    else:
        proto.CopyFrom(tf.make_tensor_proto(values))


def _array(
    name: str, proto: tensor_pb2.TensorProto, expected: Tensor, limits: Limits
) -> np.ndarray:
    if proto.dtype != expected.dtype.as_datatype_enum:
        raise invalid(f"{name}: expected {expected.dtype.name}, received the type {proto.dtype}")
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    if (
        min(shape, default=0) < 0
        or not expected.takes(shape)
        # The first axis is rows.
        or not shape
    ):
        raise invalid(f"{name}: expected the shape {expected.shape}, received {shape}")
    # Before anything is made of it: a proto of a few bytes may claim any shape.
    if shape[0] > limits.rows:
        raise invalid(f"expected at most {limits.rows} rows in a request, received {shape[0]}")
    if math.prod(shape) > limits.request_bytes:
        raise invalid(f"{name}: expected fewer values than the shape {shape} has")
    if expected.dtype == tf.string:
        if len(proto.string_val) == math.prod(shape) and not proto.tensor_content:
            return np.array(proto.string_val, object).reshape(shape)
    else:
        with suppress(ValueError, TypeError):
            return tf.make_ndarray(proto)
    try:
        # Slower, but upstream's own reader: of packed strings, and of too few or too many values.
        return tf.io.parse_tensor(proto.SerializeToString(), expected.dtype).numpy()
    except tf.errors.OpError as error:
        raise invalid(f"{name}: expected values that fill the shape {shape}") from error
