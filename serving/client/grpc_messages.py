"""What is sent and received over gRPC, however it travels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ...models import features
from ..local_model import ModelError

PREDICT = "/tensorflow.serving.PredictionService/Predict"
OPTIONS = [("grpc.max_receive_message_length", -1)]


class GrpcMessages:
    """Requests of one model, and their replies.

    Args:
      name: of the model.
      version: its number; None for the newest.
      label: in place of the number.
    """

    def __init__(self, name: str, version: int | None, label: str):
        # Imports TensorFlow, for which who speaks REST has no need.
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        self._tf, self._predict_pb2 = tf, predict_pb2
        self._fields: dict[int, tuple[str, type]] = {
            tf.string.as_datatype_enum: ("string_val", object),
            tf.float32.as_datatype_enum: ("float_val", np.float32),
        }
        self._spec = predict_pb2.PredictRequest().model_spec
        self._spec.name = name
        if version is not None:
            self._spec.version.value = version
        if label:
            self._spec.version_label = label

    def request(self, signature: str, sources: Sequence[str]) -> bytes:
        """A PredictRequest for a signature that takes text."""
        request = self._predict_pb2.PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        text = request.inputs[features.TEXT]
        text.dtype = self._tf.string.as_datatype_enum
        text.tensor_shape.dim.add(size=len(sources))
        text.string_val.extend(source.encode() for source in sources)
        return request.SerializeToString()

    def outputs(self, reply: bytes) -> dict[str, np.ndarray]:
        """The outputs of a PredictResponse, strings as bytes.

        Raises:
          ModelError: it is none, or has a tensor whose values do not fill its shape.
        """
        try:
            outputs = self._predict_pb2.PredictResponse.FromString(reply).outputs
        except DecodeError as error:
            raise ModelError("expected a PredictResponse, received no such message") from error
        try:
            return {name: self._array(proto) for name, proto in outputs.items()}
        except (ValueError, TypeError) as error:
            raise ModelError(f"expected tensors that hold what they tell: {error}") from error

    def _array(self, proto: Any) -> np.ndarray:
        """A tensor as servers write it, in the field of its type, or as TensorFlow reads any.

        TensorFlow takes three times as long for it, and a sentence has several.
        """
        if proto.dtype in self._fields:
            field, dtype = self._fields[proto.dtype]
            shape = [dimension.size for dimension in proto.tensor_shape.dim]
            values = getattr(proto, field)
            if len(values) == math.prod(shape):
                return np.array(values, dtype).reshape(shape)
        return self._tf.make_ndarray(proto)
