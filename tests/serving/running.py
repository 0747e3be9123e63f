"""A server as users run it: the command, in a process of its own, on loopback."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

COMMAND = [sys.executable, "-c", "from seq2seq_tfx.pipeline.cli import main; main()", "serve"]
SECONDS = 120  # to start, on a machine with other work to do


class Reply(NamedTuple):
    status: int
    body: Any  # parsed where it is JSON


class Address(NamedTuple):
    """Where a server answers, ours or another."""

    grpc: str
    rest: str  # host:port
    name: str

    def request(self, path, body=None, headers=None, method=None):
        """One REST request; a body that is no bytes is sent as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.rest}{path}", body, headers or {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Reply(reply.status, _parsed(reply.read()))
        except urllib.error.HTTPError as error:
            return Reply(error.code, _parsed(error.read()))

    def predict(self, body, at=""):
        return self.request(f"/v1/models/{self.name}{at}:predict", body)

    def channel(self):
        return grpc.insecure_channel(self.grpc)


def prediction_stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def model_stub(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def ask(channel, *texts, timeout=60.0):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "seq2seq"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([text.encode() for text in texts]))
    reply = prediction_stub(channel).Predict(request, timeout=timeout)
    return [text.decode() for text in tf.make_ndarray(reply.outputs["text"])]


def eventually(holds, seconds=20.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


class Running:
    """A server that was started; `with` ends it."""

    def __init__(self, model, *arguments, name="seq2seq", log=None):
        command = [*COMMAND, "--model", str(model), "--name", name]
        command += ["--grpc-port", "0", "--rest-port", "0", *arguments]
        with open(log or os.devnull, "w") as elsewhere:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=elsewhere if log else subprocess.PIPE,
                text=True,
                errors="replace",  # TensorFlow quotes bytes of requests
            )
        self.log = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self.process.stdout.readline()
        found = re.search(r"gRPC (\S+), REST http://(\S+)$", line)
        if not found:
            self.process.wait(SECONDS)
            self._reader.join(SECONDS)
            raise AssertionError(f"the server did not start: {line!r}\n{''.join(self.log)}")
        self.address = Address(*found.groups(), name)

    def _read(self):
        self.log += self.process.stderr or []

    def events(self):
        """What it logged: (event, version)."""
        lines = [json.loads(line) for line in self.log if line.startswith("{")]
        return [(line["event"], line.get("version")) for line in lines]

    def stop(self, number=signal.SIGTERM):
        """Asks it to end; gives its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(SECONDS)
        self.process.stdout.close()
        if self.process.stderr:
            self.process.stderr.close()


def _parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        return body
