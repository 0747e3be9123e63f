"""TensorFlow Serving itself, in a process of its own, on loopback.

No registry has its binary; `scripts/tensorflow_serving/build.py` builds one. Tests that need
it run where SEQ2SEQ_TENSORFLOW_SERVING names it.
"""

import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

from .running import SECONDS, Address

VARIABLE = "SEQ2SEQ_TENSORFLOW_SERVING"
BINARY = os.environ.get(VARIABLE)
RUNS = "Entering the event loop"  # the last line of its start


class ModelServer:
    """The server; `with` waits until it answers, and ends it."""

    def __init__(self, *arguments, name="seq2seq"):
        grpc, rest = free_ports(2)
        self.address = Address(f"127.0.0.1:{grpc}", f"127.0.0.1:{rest}", name)
        self._command = [BINARY, *arguments, f"--port={grpc}", f"--rest_api_port={rest}"]

    @classmethod
    def of(cls, base: Path, *arguments):
        """Serves the newest version in a folder."""
        return cls(f"--model_name={base.name}", f"--model_base_path={base}", *arguments)

    def __enter__(self):
        self.process = subprocess.Popen(
            self._command,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        self.log, self._ready = [], threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(SECONDS)
        if not self.logged(RUNS):
            self.__exit__()
            raise AssertionError("it did not start:\n" + "".join(self.log[-20:]))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def logged(self, pattern):
        """Whether it wrote such a line."""
        return any(re.search(pattern, line) for line in list(self.log))

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)
            if RUNS in line:
                self._ready.set()
        self._ready.set()  # it ended


def free_ports(count):
    """Ports that nobody listens at: a port of 0 turns an interface of the server off."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
