"""Requests that a server answers for itself before clients come.

TensorFlow Serving reads them from `assets.extra/tf_serving_warmup_requests`, a
TFRecord file of `PredictionLog`, and refuses a version that cannot answer them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from ..models import features
from .decode_options import INPUTS

FILE = "assets.extra/tf_serving_warmup_requests"
SHORT = ["a", "", "the quick brown fox"]
# One of each kind: alone, and a full batch of short and long ones.
LONG = [*SHORT, "x" * 200]
BATCHES = [SHORT[:1], LONG * (features.WARM_UP_ROWS // len(LONG))]


class WarmUp(NamedTuple):
    """One request."""

    signature: str
    inputs: dict[str, np.ndarray]


def warm_up_requests() -> Iterator[WarmUp]:
    """Requests to every signature of an export."""
    for texts in BATCHES:
        text = np.array([text.encode() for text in texts], object)
        for signature in (
            features.SERVING_SIGNATURE,
            features.NBEST_SIGNATURE,
            features.EXPLAIN_SIGNATURE,
            features.CONFIDENCE_SIGNATURE,
        ):
            yield WarmUp(signature, {features.TEXT: text})
        yield WarmUp(
            features.TEACHER_FORCING_SIGNATURE, {features.TEXT: text, features.REFERENCE: text}
        )
        options = {
            spec.name: np.array([b""] * len(texts), object)
            if spec.dtype == tf.string
            else np.full(len(texts), -1, spec.dtype.as_numpy_dtype)
            for spec in INPUTS
        }
        for signature in (features.DECODE_SIGNATURE, features.EXPLAIN_DECODE_SIGNATURE):
            yield WarmUp(signature, {**options, features.TEXT: text})
        examples = np.array([_example(text) for text in texts], object)
        yield WarmUp(features.EXAMPLES_SIGNATURE, {"examples": examples})


def write_warm_up(directory: str) -> None:
    """Writes the requests beside a SavedModel.

    Args:
      directory: of the SavedModel.
    """
    path = str(PurePath(directory) / FILE)
    tf.io.gfile.makedirs(str(PurePath(path).parent))
    with tf.io.TFRecordWriter(path) as file:
        for request in warm_up_requests():
            log = prediction_log_pb2.PredictionLog()
            predict = log.predict_log.request
            predict.model_spec.signature_name = request.signature
            for name, values in request.inputs.items():
                predict.inputs[name].CopyFrom(tf.make_tensor_proto(values))
            file.write(log.SerializeToString())


def read_warm_up(directory: str) -> list[predict_pb2.PredictRequest]:
    """Reads the requests that lie beside a SavedModel; none where there is no file.

    Args:
      directory: of the SavedModel.

    Raises:
      ValueError: the file is damaged.
    """
    path = str(PurePath(directory) / FILE)
    if not tf.io.gfile.exists(path):
        return []
    requests = []
    try:
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            requests.append(log.predict_log.request)
    # Of TensorFlow where the record is damaged, of protobuf where what it holds is.
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error
    return requests


def _example(text: str) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    return tf.train.Example(
        features=tf.train.Features(feature={features.SOURCE: feature})
    ).SerializeToString()
