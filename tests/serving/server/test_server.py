"""The server as a process: limits, overload, hostile clients, switching under load."""

import base64
import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_management_pb2, predict_pb2

from ..running import COMMAND, SECONDS, Running, ask, eventually, model_stub, prediction_stub
from . import toys

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def base(made, tmp_path_factory):
    base = tmp_path_factory.mktemp("served") / "seq2seq"
    toys.push(made / "1", base, 1)
    return base


@pytest.fixture(scope="module")
def server(base):
    with Running(base, "--queue-rows", "4", "--timeout", "20") as server:
        yield server


@pytest.fixture(scope="module")
def address(server):
    return server.address


@pytest.fixture(scope="module")
def channel(address):
    with address.channel() as channel:
        yield channel


def code_of(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as failure:
        call(*arguments, **keywords)
    return failure.value.code().name


def raw(address, content, wait=5.0):
    """Sends bytes as they are; gives what comes back within a while."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as client:
        client.sendall(content)
        received = b""
        try:
            while part := client.recv(65536):
                received += part
        except OSError:
            pass
    return received


def descriptors(server):
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_health_and_metrics_are_told(address):
    assert address.request("/healthz").status == 200
    assert address.request("/readyz").status == 200
    address.predict({"instances": ["a"]})
    told = address.request("/monitoring/prometheus/metrics").body.decode()
    assert re.search(
        r'seq2seq_serving_requests_total\{api="rest",code="OK",method="predict"\} \d', told
    )
    assert 'seq2seq_serving_version_available{model="seq2seq",version="1"} 1.0' in told
    assert "seq2seq_serving_batch_rows_bucket" in told and "process_open_fds" in told
    assert "seq2seq_serving_queue_rows 0.0" in told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"instances": ["a"] * 257}, "at most 256 rows"),
        ({"instances": ["a" * 16_385]}, "at most 16384 bytes"),
        ({"instances": ["a"], "padding": "x" * (4 << 20)}, "at most 4194304 bytes"),
    ],
)
def test_what_is_too_large_is_refused_by_its_limit(address, channel, body, told):
    reply = address.predict(body)
    assert reply.status == 400 and told in reply.body["error"]
    texts = body["instances"]
    if "padding" in body:
        texts = ["x" * 16_000] * 300
    assert code_of(ask, channel, *texts) == "INVALID_ARGUMENT"


def test_a_body_in_pieces_without_a_length_is_cut_off_at_the_limit(address):
    head = f"POST /v1/models/seq2seq:predict HTTP/1.1\r\nHost: {address.rest}\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    content = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 65 + b"0\r\n\r\n"
    assert b"at most 4194304 bytes" in raw(address.rest, content)


@pytest.mark.parametrize("digits", [20, 5000])
def test_a_version_of_any_length_is_the_clients_fault(address, digits):
    for end in ("", "/metadata", ":predict"):
        path = f"/v1/models/seq2seq/versions/{'9' * digits}{end}"
        body = {"instances": ["a"]} if end == ":predict" else None
        reply = address.request(path, body)
        assert reply.status == 400 and "64 bits" in reply.body["error"]


def test_a_long_message_fits_the_header_that_it_travels_in(channel):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "seq2seq"
    request.model_spec.signature_name = "\N{GRINNING FACE}" * 5_000
    stub = prediction_stub(channel)
    assert code_of(stub.Predict, request, timeout=10) == "FAILED_PRECONDITION"


def test_malformed_protocol_buffers_are_the_clients_fault(channel):
    for service, method in (("PredictionService", "Predict"), ("ModelService", "GetModelStatus")):
        call = channel.unary_unary(f"/tensorflow.serving.{service}/{method}")
        for message in (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 1000):
            assert code_of(call, message, timeout=10) == "INVALID_ARGUMENT"


def test_a_message_that_quotes_bytes_of_the_request_is_told_all_the_same(running):
    for value, quoted in ((b"\xff\xa1", "\ufffd\ufffd"), (b"no example", "no example")):
        body = {"b64": base64.b64encode(value).decode()}
        reply = running.address.predict({"instances": [body], "signature_name": "examples"})
        assert reply.status == 400 and quoted in reply.body["error"], reply


def test_what_the_server_does_not_have_is_unimplemented(channel):
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
    assert code_of(call, b"", timeout=10) == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/%2e%2e/metadata",
        "/v1/models/seq2seq/labels/..%2f..%2fetc/metadata",
        "/v1/models/seq2seq/versions/../../../etc/passwd",
        "/static/../../etc/passwd",
        "//etc/passwd",
    ],
)
def test_no_path_reaches_the_file_system(address, path):
    head = f"GET {path} HTTP/1.1\r\nHost: {address.rest}\r\nConnection: close\r\n\r\n"
    reply = raw(address.rest, head.encode())
    assert re.match(rb"HTTP/1.1 40[04] ", reply) and b"root:" not in reply


def test_a_reload_reaches_no_other_folder_and_no_other_model(channel, base):
    request = model_management_pb2.ReloadConfigRequest()
    assert code_of(model_stub(channel).HandleReloadConfigRequest, request) == "INVALID_ARGUMENT"
    model = request.config.model_config_list.config.add(
        name="seq2seq", base_path="/etc", model_platform="tensorflow"
    )
    assert code_of(model_stub(channel).HandleReloadConfigRequest, request) == "INVALID_ARGUMENT"
    model.base_path, model.name = str(base), "other"
    assert code_of(model_stub(channel).HandleReloadConfigRequest, request) == "INVALID_ARGUMENT"
    model.name = "seq2seq"
    model.version_labels["stable"] = 1
    reply = model_stub(channel).HandleReloadConfigRequest(request, timeout=30)
    assert reply.HasField("status") and reply.status.error_code == 0
    spec = predict_pb2.PredictRequest()
    spec.model_spec.name, spec.model_spec.version_label = "seq2seq", "stable"
    spec.inputs["text"].CopyFrom(tf.make_tensor_proto([b"a"]))
    assert prediction_stub(channel).Predict(spec).model_spec.version.value == 1
    del model.version_labels["stable"]  # it would keep its version
    model_stub(channel).HandleReloadConfigRequest(request, timeout=30)


def test_deadlines_are_kept_and_the_server_answers_on(channel):
    start = time.monotonic()
    assert code_of(ask, channel, toys.SLOW, timeout=0.3) == "DEADLINE_EXCEEDED"
    assert time.monotonic() - start < 2
    assert ask(channel, "quick " + "x" * 30) == ["v1:quick " + "x" * 30]  # another band


def test_a_full_queue_refuses_at_once_and_recovers(address, channel):
    with ThreadPoolExecutor(20) as clients:
        slow = clients.submit(ask, channel, toys.SLOW)
        time.sleep(0.3)
        replies = list(clients.map(lambda _: address.predict({"instances": ["a"]}), range(16)))
        refused = [reply for reply in replies if reply.status != 200]
        assert refused and {reply.status for reply in refused} == {503}
        assert any(reply.status == 200 for reply in replies)  # what was in the queue
        assert slow.result() == [f"v1:{toys.SLOW}"]
    assert ask(channel, "a") == ["v1:a"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own")
def test_the_thread_that_talks_to_clients_goes_before_those_that_answer(server, channel):
    assert ask(channel, "a") == ["v1:a"]
    process = server.process.pid
    nice = {
        int(task.name): os.getpriority(os.PRIO_PROCESS, int(task.name))
        for task in Path(f"/proc/{process}/task").iterdir()
    }
    talks = nice[process]
    assert talks == os.getpriority(os.PRIO_PROCESS, 0)
    behind = [value for value in nice.values() if value > talks]
    # One that loads, one that answered, and TensorFlow's, of which there are as many as cores.
    assert len(behind) >= 2 + len(os.sched_getaffinity(0))


def test_a_thousand_connections_and_slow_clients_leave_others_alone(server, address, channel):
    before = descriptors(server)
    host, port = address.rest.split(":")
    head = b"POST /v1/models/seq2seq:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    clients = []
    for i in range(1000):
        client = socket.create_connection((host, int(port)))
        client.sendall((b"", b"GET", head, head + b'{"inst')[i % 4])
        clients.append(client)
    eventually(lambda: descriptors(server) >= before + 1000)
    assert ask(channel, "a") == ["v1:a"]
    assert address.predict({"instances": ["a"]}).status == 200
    for client in clients:
        client.close()
    eventually(lambda: descriptors(server) <= before + 5)


def test_garbage_on_either_port_ends_nothing(address, channel):
    for content in (b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 300):
        for port in (address.rest, address.grpc):
            raw(port, content, wait=1.0)
    assert ask(channel, "a") == ["v1:a"]


def test_outputs_that_are_bytes_or_padded_are_answered(address):
    body = {"instances": [{"b64": "/wA="}], "signature_name": "bytes"}
    assert address.predict(body).body == {"predictions": [{"b64": "/wA="}]}
    body = {"instances": ["ab", "c"], "signature_name": "padded"}
    assert address.predict(body).body == {"predictions": [["a", "b"], ["c", ""]]}


def test_no_request_fails_while_versions_are_switched(server, address, channel, base, made):
    """And a broken one between them changes nothing. Runs late: it leaves version 2."""
    failures, answers, stop = [], set(), threading.Event()

    def hammer(one):
        while not stop.is_set():
            try:
                answers.add(one())
            except Exception as error:
                failures.append(error)

    def rest():
        reply = address.predict({"instances": ["a"]})
        assert reply.status == 200, reply
        return reply.body["predictions"][0]["text"]

    threads = [
        threading.Thread(target=hammer, args=[one]) for one in (rest, lambda: ask(channel, "a")[0])
    ]
    for thread in threads:
        thread.start()
    try:
        toys.flip_bits(toys.push(made / "2", base, 3))
        eventually(lambda: ("refused", 3) in server.events())
        assert answers == {"v1:a"}
        toys.push(made / "2", base, 2)
        eventually(lambda: ("unloaded", 1) in server.events())
        answers.clear()
        eventually(lambda: bool(answers))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == [] and answers == {"v2:a"}


def test_what_cannot_be_served_is_told(made, server, tmp_path):
    def told(*arguments):
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 1 and done.stdout == ""
        return done.stderr.splitlines()[-1]

    toys.cut_short(toys.push(made / "1", tmp_path, 5))
    broken = told("--model", tmp_path / "5")
    assert f"that can be served in {tmp_path}, found 5: " in broken
    toys.push(made / "1", tmp_path / "x[1]", 5)
    assert "serve a link to it" in told("--model", tmp_path / "x[1]")
    config = tmp_path / "models.config"
    policy = "model_version_policy { specific { versions: 7 } }"
    where = "base_path: '/models/seq2seq' model_platform: 'tensorflow'"
    config.write_text(f"model_config_list {{ config {{ name: 'seq2seq' {where} {policy} }} }}")
    unwanted = told("--model", made, "--model-config", config)
    assert unwanted.endswith("found none that is asked for: there are 2, 1")
    port = server.address.rest.split(":")[1]
    taken = told("--model", made / "1", "--grpc-port", "0", "--rest-port", port)
    assert taken.startswith("error: REST, 127.0.0.1:" + port)


def test_a_request_that_its_client_cancels_is_no_fault_of_the_server(address, channel):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "seq2seq"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([toys.SLOW.encode()]))

    def counted(name):
        told = address.request("/monitoring/prometheus/metrics").body.decode()
        found = re.search(rf"^seq2seq_serving_{re.escape(name)} (\d+)", told, re.MULTILINE)
        return int(found[1]) if found else 0

    def answered(code):
        return counted(f'requests_total{{api="grpc",code="{code}",method="Predict"}}')

    before, faults, batches = answered("CANCELLED"), answered("INTERNAL"), "batch_rows_count"
    begun = counted(batches)
    call = prediction_stub(channel).Predict.future(request, timeout=60)
    eventually(lambda: counted(batches) > begun)
    call.cancel()
    eventually(lambda: answered("CANCELLED") == before + 1)
    assert answered("INTERNAL") == faults
