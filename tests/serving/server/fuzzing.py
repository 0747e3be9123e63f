"""Requests that are nearly right, or not at all, from a seed."""

import gzip
import json
import random
from urllib.parse import urlencode

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from seq2seq_tfx.serving.decode_options import FLOATS, INTEGERS, PREFIX

WITH_OPTIONS = ["decode", "explain_decode"]
SIGNATURES = [
    *("serving_default", "nbest", "explain", "examples", *WITH_OPTIONS),
    *("", "other", "\0"),
]
SIGNATURES += ["confidence", "teacher_forcing"]
NAMES = ["text", "examples", PREFIX, *INTEGERS, *FLOATS, "b64", "instances", "inputs"]
TEXTS = [
    "the fox",
    "",
    "\0",
    "\ud83d",  # half of a surrogate pair: JSON can write it
    "\U0001f642 \u202e",
    "x" * 3_000,
    "x" * 20_000,
    "/wA=",
]
GOOD = ["the fox", "", "\0", "\U0001f642 \u202e", "x" * 300]
NUMBERS = [0, 1, -1, 3, 64, 2**31 - 1, 2**31, -(2**63), 10**400, 0.5, -1.0, 1e308, 1e-320]
SPECIAL = [float("nan"), float("inf"), -float("inf"), True, None]
PATHS = [
    "/v1/models/seq2seq:predict",
    "/v1/models/seq2seq/versions/1:predict",
    "/v1/models/seq2seq/versions/99999999999999999999:predict",
    "/v1/models/seq2seq/versions/" + "9" * 5_000,
    "/v1/models/seq2seq/labels/stable:predict",
    "/v1/models/seq2seq:classify",
    "/v1/models/seq2seq",
    "/v1/models/seq2seq/metadata",
    "/v1/models/%00%ff:predict",
    "/v1/models/" + "a" * 3_000,
    "/v1/models/../../etc/passwd",
    "/healthz",
    "/readyz",
    "/monitoring/prometheus/metrics",
    "/",
    "/%",
]
FORM = "application/x-www-form-urlencoded"
HEADERS = {
    "Content-Type": [
        "application/json",
        FORM,
        f"{FORM}; charset=nope",
        f"{FORM}; charset=utf-16",
        f"{FORM}; charset=\xff",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        'text/plain; charset="',
        "x" * 9_000,
        "",
    ],
    "Content-Encoding": ["gzip", "deflate", "br", "zstd", "identity", "nope", "gzip, gzip", "\xff"],
    "Transfer-Encoding": ["chunked", "gzip, chunked", "nope", "chunked, chunked", "\xff"],
    "Expect": ["100-continue", "nope"],
    "Accept-Encoding": ["nope;q=x", "*;q=0"],
    "Connection": ["upgrade", "close", "\xff"],
    "Upgrade": ["websocket", "h2c"],
}
# Of a part of a form.
PART_HEADERS = [
    "Content-Type: text/plain; charset=nope",
    "Content-Type: multipart/mixed; boundary=c",
    "Content-Transfer-Encoding: nope",
    "Content-Transfer-Encoding: base64",
    "Content-Encoding: gzip",
    "Content-Length: -1",
]
PREDICT = "tensorflow.serving.PredictionService/Predict"
METHODS = {
    PREDICT: predict_pb2.PredictRequest,
    "tensorflow.serving.PredictionService/GetModelMetadata": (
        get_model_metadata_pb2.GetModelMetadataRequest
    ),
    "tensorflow.serving.ModelService/GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    "tensorflow.serving.ModelService/HandleReloadConfigRequest": (
        model_management_pb2.ReloadConfigRequest
    ),
}


def rest_request(seed):
    """A method, a path, a body and headers."""
    generator = random.Random(seed)
    method = "POST" if generator.random() < 0.9 else generator.choice(["GET", "PUT", "HEAD"])
    headers = {}
    if generator.random() < 0.2:
        path = "/"
        kind, body = _form(generator)
        headers["Content-Type"] = kind
    else:
        path = generator.choice(PATHS[:2] if generator.random() < 0.8 else PATHS)
        body = json.dumps(_rest_body(generator)).encode()
    if generator.random() < 0.3:
        body = _damaged(generator, body)
    if generator.random() < 0.02:
        body = b'{"instances":' + b"[" * generator.randint(1, 100_000)
    if generator.random() < 0.3:
        name = generator.choice(list(HEADERS))
        headers[name] = generator.choice(HEADERS[name])
        if headers[name] == "gzip" and generator.random() < 0.7:
            body = gzip.compress(body)
    return method, path, body, headers


def grpc_request(seed):
    """A method and a message."""
    generator = random.Random(seed)
    method = PREDICT if generator.random() < 0.8 else generator.choice(list(METHODS))
    message = METHODS[method]()
    if method == PREDICT:
        _fill(generator, message)
    elif "Reload" in method:
        config = message.config.model_config_list.config.add(
            name="seq2seq", model_platform="tensorflow"
        )
        config.base_path = generator.choice(["/etc", "..", "gs://x"])
    else:
        message.model_spec.name = "seq2seq"
        if hasattr(message, "metadata_field"):
            message.metadata_field.append(generator.choice(["signature_def", "other"]))
    content = message.SerializeToString()
    return method, _damaged(generator, content) if generator.random() < 0.3 else content


def _form(generator):
    """The type and the body of what a browser might send, or might not."""
    names = generator.sample(NAMES, k=generator.randint(0, 3))
    fields = {"text": generator.choice(GOOD)} if generator.random() < 0.9 else {}
    fields |= {name: generator.choice([*TEXTS, *NUMBERS, *SPECIAL]) for name in names}
    if generator.random() < 0.6:
        return FORM, urlencode(fields, errors="replace").encode()
    parts = []
    for name, value in fields.items():
        lines = ["--b", f'Content-Disposition: form-data; name="{name}"']
        lines += generator.sample(PART_HEADERS, k=generator.randint(0, 2))
        parts.append("\r\n".join([*lines, "", str(value)]))
    body = "\r\n".join([*parts, "--b--", ""])
    return "multipart/form-data; boundary=b", body.encode("utf-8", "replace")


def _rest_body(generator):
    signature = generator.choice(SIGNATURES)
    rows = generator.randint(0, 4)
    if signature in WITH_OPTIONS and generator.random() < 0.8:
        row = dict.fromkeys((*INTEGERS, *FLOATS), -1) | {PREFIX: "", "text": "the fox"}
        row[generator.choice(list(row))] = generator.choice([*NUMBERS, *SPECIAL, *TEXTS])
        values = [row] * rows
    elif generator.random() < 0.6:
        values = generator.choices(generator.choice([TEXTS, GOOD]), k=rows)
    else:
        values = _tree(generator, 4)
    body = {"signature_name": signature, generator.choice(["instances", "inputs"]): values}
    if generator.random() < 0.1:
        body[generator.choice(NAMES)] = _tree(generator, 3)
    return body if generator.random() < 0.95 else _tree(generator, 3)


def _tree(generator, depth):
    kind = generator.random()
    if depth == 0 or kind < 0.4:
        return generator.choice([*TEXTS, *NUMBERS, *SPECIAL])
    size = generator.randint(0, 3)
    if kind < 0.7:
        return [_tree(generator, depth - 1) for _ in range(size)]
    return {generator.choice(NAMES): _tree(generator, depth - 1) for _ in range(size)}


def _fill(generator, message):
    message.model_spec.name = generator.choice(["seq2seq"] * 9 + ["other"])
    signature = generator.choice(SIGNATURES)
    message.model_spec.signature_name = signature
    if generator.random() < 0.1:
        message.model_spec.version.value = generator.choice([1, -1, 2**62])
    if generator.random() < 0.1:
        message.output_filter.append(generator.choice(["text", "score", "other"]))
    rows = generator.randint(0, 4)
    texts = [t.encode("utf-8", "replace") for t in generator.choices(TEXTS, k=rows)]
    if signature in WITH_OPTIONS:
        for name in (*INTEGERS, *FLOATS):
            dtype = tf.int32 if name in INTEGERS else tf.float32
            message.inputs[name].CopyFrom(tf.make_tensor_proto([-1] * rows, dtype, [rows]))
        message.inputs[PREFIX].CopyFrom(tf.make_tensor_proto([b""] * rows, tf.string, [rows]))
    name = "examples" if signature == "examples" else "text"
    message.inputs[name].CopyFrom(tf.make_tensor_proto(texts, tf.string, [rows]))
    if generator.random() < 0.4:
        _distort(generator, message.inputs[generator.choice(list(message.inputs))])


def _distort(generator, proto):
    kind = generator.randrange(5)
    if kind == 0:
        proto.dtype = generator.choice(types_pb2.DataType.values())
    elif kind == 1:
        size = generator.choice([-1, 0, 7, 2**31, 2**62])
        proto.tensor_shape.CopyFrom(tf.TensorShape([0]).as_proto())
        proto.tensor_shape.dim[0].size = size
    elif kind == 2:
        proto.tensor_shape.unknown_rank = True
    elif kind == 3:
        proto.tensor_content = generator.randbytes(generator.randint(0, 40))
    else:
        proto.MergeFrom(
            tensor_pb2.TensorProto(int_val=[2**31 - 1], float_val=[float("nan")], bool_val=[True])
        )


def _damaged(generator, content):
    damaged = bytearray(content)
    for _ in range(generator.randint(1, 5)):
        place = generator.randint(0, len(damaged))
        kind = generator.randrange(4)
        if kind == 0:
            damaged[place:place] = generator.randbytes(generator.randint(1, 8))
        elif kind == 1:
            del damaged[place : place + generator.randint(1, 8)]
        elif kind == 2 and place < len(damaged):
            damaged[place] ^= 1 << generator.randrange(8)
        else:
            damaged += damaged[place : place + 20]
    return bytes(damaged)
