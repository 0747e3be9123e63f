"""Starts `seq2seq serve` in a process of its own, for the measurements of this folder."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


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
