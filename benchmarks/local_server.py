"""Starts a server in a process of its own, for the measurements of this folder.

`seq2seq serve`, or TensorFlow Serving with the flags and files of `seq2seq deployment`.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from seq2seq_tfx.serving import production


class Address(NamedTuple):
    """Where a server answers."""

    grpc: str
    rest: str  # a URL
    process: int


@contextmanager
def local_server(model: Path, *arguments: str) -> Iterator[Address]:
    """Serves a version on ports of the system's choice, as long as the context lasts."""
    command = [sys.executable, "-c", "from seq2seq_tfx.pipeline.cli import main; main()", "serve"]
    command += ["--model", str(model), "--grpc-port", "0", "--rest-port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"gRPC (\S+), REST (\S+)$", process.stdout.readline())
        try:
            if not found:
                raise SystemExit("the server did not start; its log is above")
            yield Address(found[1], found[2], process.pid)
        finally:
            process.terminate()


@contextmanager
def tensorflow_serving(binary: Path, model: Path) -> Iterator[Address]:
    """Serves a version by TensorFlow Serving, as long as the context lasts."""
    config = production.DeploymentConfig()
    with tempfile.TemporaryDirectory() as folder:
        models = model_server_config_pb2.ModelServerConfig()
        served = models.model_config_list.config.add(
            name="seq2seq", base_path=str(model.resolve().parent), model_platform="tensorflow"
        )
        served.model_version_policy.specific.versions.append(int(model.name))
        for name, text in {
            "models.config": text_format.MessageToString(models),
            "batching.config": production.batching_parameters(config.batching),
            "monitoring.config": production.monitoring_config(),
        }.items():
            Path(folder, name).write_text(text)
        ports = {production.GRPC_PORT: _free_port(), production.REST_PORT: _free_port()}
        grpc, rest = (f"127.0.0.1:{port}" for port in ports.values())
        command = [str(binary)]
        for argument in production.arguments(config):
            for port, free in ports.items():
                argument = argument.replace(f"port={port}", f"port={free}")
            command.append(argument.replace(production.CONFIG + "/", folder + "/"))
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        with subprocess.Popen(command, env=quiet, stderr=subprocess.DEVNULL) as process:
            try:
                while not _answers(f"http://{rest}/v1/models/seq2seq"):
                    if process.poll() is not None:
                        raise SystemExit(f"{binary}: it ended with code {process.returncode}")
                    time.sleep(0.1)
                yield Address(grpc, f"http://{rest}", process.pid)
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as reply:
            return bool(reply.status == 200)
    except urllib.error.URLError:
        return False
