"""The contract of serving: what any server of an export answers, TensorFlow Serving or ours.

It is held against the local server, or TensorFlow Serving where SEQ2SEQ_TENSORFLOW_SERVING
names its binary. Against another that runs, with any export of this project:

    SEQ2SEQ_CONTRACT_GRPC=HOST:8500 SEQ2SEQ_CONTRACT_REST=HOST:8501 \\
    SEQ2SEQ_CONTRACT_NAME=seq2seq .venv/bin/python -m pytest tests/serving/test_contract.py
"""

import base64
import gzip
import zlib

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.decode_options import INPUTS

from .running import model_stub, prediction_stub

pytestmark = [pytest.mark.slow, pytest.mark.modern]

TEXTS = ["the fox", "", "Über große 语言", "quick \U0001f642", "brown quick fox the quick"]
NAMES = {features.TEXT, features.SCORE, features.LOG_PROB}
SIGNATURES = {
    features.SERVING_SIGNATURE,
    features.NBEST_SIGNATURE,
    features.EXPLAIN_SIGNATURE,
    features.CONFIDENCE_SIGNATURE,
    features.TEACHER_FORCING_SIGNATURE,
    features.DECODE_SIGNATURE,
    features.EXPLAIN_DECODE_SIGNATURE,
    features.EXAMPLES_SIGNATURE,
}
UNKNOWN_VERSION = 2**62


@pytest.fixture(scope="module")
def address(contract_address):
    return contract_address


@pytest.fixture(scope="module")
def channel(address):
    with address.channel() as channel:
        yield channel


@pytest.fixture(scope="module")
def version(address):
    """The newest that answers."""
    reply = address.request(f"/v1/models/{address.name}")
    statuses = reply.body["model_version_status"]
    return max(int(s["version"]) for s in statuses if s["state"] == "AVAILABLE")


@pytest.fixture(scope="module")
def ask(address, channel):
    """Asks by gRPC; gives arrays."""

    def ask(inputs, signature="", wanted=(), timeout=60, **spec):
        request = predict_pb2.PredictRequest(output_filter=wanted)
        request.model_spec.name = spec.get("name", address.name)
        request.model_spec.signature_name = signature
        if "version" in spec:
            request.model_spec.version.value = spec["version"]
        if "label" in spec:
            request.model_spec.version_label = spec["label"]
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(values)
        reply = prediction_stub(channel).Predict(request, timeout=timeout)
        return {name: tf.make_ndarray(value) for name, value in reply.outputs.items()}

    return ask


def strings(values):
    return tf.make_tensor_proto(values, tf.string, shape=[len(values)])


def text(values=TEXTS):
    return {features.TEXT: strings([value.encode() for value in values])}


def options(rows, **given):
    """Every option of `decode` for so many rows, as JSON has it by columns."""
    return {
        spec.name: [given.get(spec.name, "" if spec.dtype == tf.string else -1)] * rows
        for spec in INPUTS[1:]
    }


def as_protos(columns):
    return {
        spec.name: tf.make_tensor_proto(columns[spec.name], spec.dtype)
        for spec in INPUTS
        if spec.name in columns
    }


def example(source):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[source.encode()]))
    return tf.train.Example(
        features=tf.train.Features(feature={features.SOURCE: feature})
    ).SerializeToString()


def assert_same(rest, arrays):
    """JSON columns and arrays hold the same, numbers to 1e-4."""
    assert set(rest) == set(arrays)
    for name, values in arrays.items():
        if values.dtype == object:
            decoded = np.vectorize(bytes.decode, otypes=[object])(values) if values.size else values
            assert np.array(rest[name], object).tolist() == decoded.tolist(), name
        else:
            np.testing.assert_allclose(rest[name], values, atol=1e-4, err_msg=name)


def code_of(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as failure:
        call(*arguments, **keywords)
    assert failure.value.details()
    return failure.value.code()


# --- REST ----------------------------------------------------------------------


def test_rows_are_answered_by_rows_in_their_order(address):
    reply = address.predict({"instances": TEXTS})
    assert reply.status == 200 and set(reply.body) == {"predictions"}
    rows = reply.body["predictions"]
    assert [set(row) for row in rows] == [NAMES] * len(TEXTS)
    assert rows[1] == {features.TEXT: "", features.SCORE: 0, features.LOG_PROB: 0}
    alone = [address.predict({"instances": [t]}).body["predictions"][0] for t in TEXTS]
    for row, single in zip(rows, alone, strict=True):
        assert row[features.TEXT] == single[features.TEXT]
        assert row[features.SCORE] == pytest.approx(single[features.SCORE], abs=1e-4)


@pytest.mark.parametrize(
    "form",
    [
        lambda t: {features.TEXT: t},
        lambda t: {"b64": base64.b64encode(t.encode()).decode()},
        lambda t: {features.TEXT: {"b64": base64.b64encode(t.encode()).decode()}},
    ],
    ids=["object", "base64", "object of base64"],
)
def test_a_row_may_be_written_in_any_of_upstreams_ways(address, form):
    plain = address.predict({"instances": TEXTS}).body
    assert address.predict({"instances": [form(t) for t in TEXTS]}).body == plain


@pytest.mark.parametrize("named", [False, True])
def test_columns_are_answered_by_columns(address, named):
    inputs = {features.TEXT: TEXTS} if named else TEXTS
    reply = address.predict({"inputs": inputs})
    assert reply.status == 200 and set(reply.body) == {"outputs"}
    rows = address.predict({"instances": TEXTS}).body["predictions"]
    columns = {name: [row[name] for row in rows] for name in NAMES}
    assert reply.body["outputs"] == columns


def test_columns_may_be_empty(address):
    reply = address.predict({"inputs": {features.TEXT: []}})
    assert reply == (200, {"outputs": {name: [] for name in NAMES}})


@pytest.mark.parametrize("written", ["aGVsbG8", "aGVs\nbG8="])
def test_base64_may_be_broken_into_lines_and_lack_its_end(address, written):
    plain = address.predict({"instances": ["hello"]}).body
    assert address.predict({"instances": [{"b64": written}]}).body == plain


def test_a_body_may_begin_with_a_byte_order_mark_and_come_in_gzip(address):
    path, plain = f"/v1/models/{address.name}:predict", b'{"instances": ["hello"]}'
    known = address.request(path, plain)
    assert known.status == 200
    assert address.request(path, b"\xef\xbb\xbf" + plain) == known
    packed = gzip.compress(plain)
    assert address.request(path, packed, {"Content-Encoding": "gzip"}) == known
    assert address.request(path, packed[:-5], {"Content-Encoding": "gzip"}).status == 400
    assert (
        address.request(path, zlib.compress(plain), {"Content-Encoding": "deflate"}).status == 400
    )


def test_the_version_may_be_named(address, version):
    newest = address.predict({"instances": TEXTS}).body
    assert address.predict({"instances": TEXTS}, f"/versions/{version}").body == newest


@pytest.mark.parametrize(
    ("at", "status"), [(f"/versions/{UNKNOWN_VERSION}", 404), ("/labels/no-such-label", 400)]
)
def test_what_is_not_there_is_told_by_its_status(address, at, status):
    reply = address.predict({"instances": TEXTS}, at)
    assert reply.status == status and reply.body["error"]


def test_the_status_names_every_version_with_its_state(address, version):
    reply = address.request(f"/v1/models/{address.name}/versions/{version}")
    assert reply == (
        200,
        {
            "model_version_status": [
                {
                    "version": str(version),
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        },
    )
    assert address.request(f"/v1/models/{address.name}/labels/no-such-label").status == 200
    other = address.request(f"/v1/models/{address.name}/versions/{UNKNOWN_VERSION}")
    assert other.status == 404 and other.body["error"]
    assert address.request("/v1/models/no_such_model").status == 404


def test_the_metadata_has_the_signatures_and_nothing_internal(address, version):
    reply = address.request(f"/v1/models/{address.name}/metadata")
    assert reply.status == 200
    spec = {"name": address.name, "signature_name": "", "version": str(version)}
    assert reply.body["model_spec"] == spec
    signatures = reply.body["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) - {"__saved_model_init_op"} == SIGNATURES
    serving = signatures[features.SERVING_SIGNATURE]
    assert serving["method_name"] == "tensorflow/serving/predict"
    source = serving["inputs"][features.TEXT]
    assert source["dtype"] == "DT_STRING"
    assert source["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
    assert set(serving["outputs"]) == NAMES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        {},
        {"instances": []},
        {"instances": "a"},
        {"instances": ["a"], "inputs": ["a"]},
        {"instances": ["a", {"text": "b"}]},
        {"instances": [{"text": "a", "other": "b"}]},
        {"instances": [{"other": "a"}]},
        {"instances": [1]},
        {"instances": [None]},
        {"instances": [["a"]]},
        {"instances": [{"b64": "?"}]},
        {"inputs": {"other": ["a"]}},
        {"inputs": [[["a"]]]},
        {"instances": ["a"], "signature_name": "no_such_signature"},
        {"instances": ["a"], "signature_name": 1},
        {"instances": ["a"], "signature_name": "decode"},
    ],
    ids=repr,
)
def test_what_is_no_request_is_the_clients_fault(address, body):
    reply = address.predict(body)
    assert reply.status == 400 and reply.body["error"], reply


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/{}:predict"),
        ("POST", "/v1/models/{}"),
        ("POST", "/v1/models/{}:guess"),
        ("POST", "/v1/models/{}:PREDICT"),
        ("POST", "/v1/models/{}:predict?a=b"),
        ("GET", "/v1/models/{}/metadata?a=b"),
        ("GET", "/v1/models/{}/versions/one"),
        ("POST", "/v1/models/{}/versions/1/labels/a:predict"),
    ],
)
def test_a_path_that_upstream_does_not_know_is_malformed(address, method, path):
    body = b"{}" if method == "POST" else None
    reply = address.request(path.format(address.name), body, method=method)
    assert reply.status == 400
    assert "Malformed request" in reply.body["error"]


# --- gRPC, and both ------------------------------------------------------------


@pytest.mark.parametrize(
    "signature",
    [
        features.SERVING_SIGNATURE,
        features.NBEST_SIGNATURE,
        features.EXPLAIN_SIGNATURE,
        features.CONFIDENCE_SIGNATURE,
    ],
)
def test_grpc_and_rest_give_the_same(address, ask, signature):
    reply = address.predict({"inputs": TEXTS, "signature_name": signature})
    assert reply.status == 200
    assert_same(reply.body["outputs"], ask(text(), signature))


def test_given_references_are_scored_alike_by_grpc_and_rest(address, ask):
    references = ["the fox", "a", "", "quick", "fox fox"]
    inputs = {"text": TEXTS, "reference": references}
    reply = address.predict({"inputs": inputs, "signature_name": "teacher_forcing"})
    protos = {name: text(values)["text"] for name, values in inputs.items()}
    assert_same(reply.body["outputs"], ask(protos, features.TEACHER_FORCING_SIGNATURE))


def test_the_default_signature_needs_no_name(ask):
    best, named = ask(text()), ask(text(), features.SERVING_SIGNATURE)
    assert {k: v.tolist() for k, v in best.items()} == {k: v.tolist() for k, v in named.items()}


def test_the_best_is_the_first_of_many(ask):
    best, many = ask(text()), ask(text(), features.NBEST_SIGNATURE)
    assert many[features.TEXT].ndim == 2
    assert best[features.TEXT].tolist() == many[features.TEXT][:, 0].tolist()
    scores = many[features.SCORE]
    assert (scores[:, :-1] >= scores[:, 1:]).all()


def test_examples_are_answered_as_their_sources(ask):
    examples = {"examples": strings([example(source) for source in TEXTS])}
    answers, best = ask(examples, features.EXAMPLES_SIGNATURE), ask(text())
    assert answers[features.TEXT].tolist() == best[features.TEXT].tolist()


@pytest.mark.parametrize(
    "signature", [features.DECODE_SIGNATURE, features.EXPLAIN_DECODE_SIGNATURE]
)
def test_options_of_search_are_taken_by_both(address, ask, signature):
    columns = {features.TEXT: TEXTS, **options(len(TEXTS), beam_size=1)}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    by_grpc = ask(as_protos(columns), signature)
    by_columns = address.predict({"signature_name": signature, "inputs": columns})
    assert_same(by_columns.body["outputs"], by_grpc)
    by_rows = address.predict({"signature_name": signature, "instances": rows})
    assert [row[features.TEXT] for row in by_rows.body["predictions"]] == by_columns.body[
        "outputs"
    ][features.TEXT]


def test_a_refused_option_is_told_by_its_name(address, ask):
    columns = {features.TEXT: ["a"], **options(1, temperature=1e6)}
    reply = address.predict({"signature_name": "decode", "inputs": columns})
    assert reply.status == 400 and "temperature" in reply.body["error"]
    code = code_of(ask, as_protos(columns), features.DECODE_SIGNATURE)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_no_rows_are_answered_by_grpc_and_refused_of_rest_by_rows(address, ask):
    assert {name: len(v) for name, v in ask(text([])).items()} == dict.fromkeys(NAMES, 0)
    assert address.predict({"instances": []}).status == 400


def test_outputs_may_be_chosen(ask):
    assert set(ask(text(), wanted=[features.SCORE])) == {features.SCORE}
    for wanted in (["other"], [features.SCORE, features.SCORE]):
        assert code_of(ask, text(), wanted=wanted) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"name": "no_such_model"}, "NOT_FOUND"),
        ({"version": UNKNOWN_VERSION}, "NOT_FOUND"),
        ({"label": "no-such-label"}, "INVALID_ARGUMENT"),
        ({"label": ""}, "INVALID_ARGUMENT"),
        ({"name": ""}, "INVALID_ARGUMENT"),
        ({"signature": "no_such_signature"}, "FAILED_PRECONDITION"),
    ],
)
def test_what_is_not_there_is_told_by_its_code(ask, asked, code):
    assert code_of(ask, text(), **asked).name == code


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"other": strings([b"a"])},
        {**text(), "other": strings([b"a"])},
        {features.TEXT: tf.make_tensor_proto([1])},
        {features.TEXT: tf.make_tensor_proto([[b"a"]])},
        {features.TEXT: tf.make_tensor_proto(b"a")},
    ],
    ids=["none", "another", "one more", "numbers", "a matrix", "a scalar"],
)
def test_inputs_that_the_signature_does_not_take_are_invalid(ask, inputs):
    assert code_of(ask, inputs) is grpc.StatusCode.INVALID_ARGUMENT


def test_strings_may_come_packed_and_values_too_few_or_too_many(ask):
    one, two, packed = strings([b"the fox"]), strings([b"the fox", b"quick"]), strings([])
    known = ask({features.TEXT: strings([b"the fox", b"quick", b"quick"])})[features.TEXT].tolist()
    packed.tensor_shape.dim[0].size = 2
    packed.tensor_content = b"\x07\x05the foxquick"  # as C++ writes it, lengths first
    assert ask({features.TEXT: packed})[features.TEXT].tolist() == known[:2]
    two.tensor_shape.dim[0].size = 3
    assert ask({features.TEXT: two})[features.TEXT].tolist() == known
    one.string_val.append(b"quick")
    assert ask({features.TEXT: one})[features.TEXT].tolist() == known[:1]


def test_metadata_by_grpc(address, channel, version):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = address.name
    reply = prediction_stub(channel).GetModelMetadata(request, timeout=60)
    assert reply.model_spec.version.value == version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) - {"__saved_model_init_op"} == SIGNATURES
    request.metadata_field[:] = ["other"]
    code = code_of(prediction_stub(channel).GetModelMetadata, request, timeout=60)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_status_by_grpc(address, channel, version):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = address.name
    request.model_spec.version.value = version
    reply = model_stub(channel).GetModelStatus(request, timeout=60)
    (status,) = reply.model_version_status
    assert (status.version, status.state) == (version, 30)
    request.model_spec.version.value = UNKNOWN_VERSION
    code = code_of(model_stub(channel).GetModelStatus, request, timeout=60)
    assert code is grpc.StatusCode.NOT_FOUND
