"""Starts TensorFlow Serving in a process of its own, for measurements and tests.

No registry has its binary; `scripts/tensorflow_serving/build.py` builds one.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from pathlib import Path

from seq2seq_tfx.serving import production
from seq2seq_tfx.serving.promotion import STABLE, Promotion

RUNS = "Entering the event loop"  # the last line of its start
SECONDS = 120.0  # to start, on a machine with other work to do


class ModelServer:
    """The server; `with` waits until it answers, and ends it.

    Args:
      binary: its path.
      *arguments: of it, but for ports.
    """

    def __init__(self, binary: str | Path, *arguments: str):
        self.ports = _free_ports(2)  # of gRPC and REST: 0 turns an interface off
        ports = zip(("--port", "--rest_api_port"), self.ports, strict=True)
        self._command = [str(binary), *arguments, *(f"{name}={port}" for name, port in ports)]
        self.log: list[str] = []

    @classmethod
    def of(cls, binary: str | Path, base: Path, *arguments: str) -> ModelServer:
        """Serves the newest version in a folder."""
        own = (f"--model_name={base.name}", f"--model_base_path={base}")
        return cls(binary, *own, *arguments)

    @classmethod
    def in_production(
        cls,
        binary: str | Path,
        base: Path,
        folder: Path,
        promoted: Promotion | None = None,
        label: str = STABLE,
    ) -> ModelServer:
        """Starts it as its container does.

        Args:
          binary: its path.
          base: the folder of versions.
          folder: for the files that `seq2seq deployment` writes.
          promoted: which version has which label; none: the newest is served.
          label: of the server.
        """
        config = production.DeploymentConfig(models=str(base.parent))
        production.write_files(config, base.name, promoted or Promotion(), folder)
        own_ports = ("--port=", "--rest_api_port=")
        return cls(
            binary,
            *(
                argument.replace(production.CONFIG, str(folder / label))
                for argument in production.arguments(config)
                if not argument.startswith(own_ports)
            ),
        )

    def __enter__(self) -> ModelServer:
        self.process = subprocess.Popen(
            self._command,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(SECONDS)
        if not self.logged(RUNS):
            self.__exit__()
            raise RuntimeError("it did not start:\n" + "".join(self.log[-20:]))
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def logged(self, pattern: str) -> bool:
        """Whether it wrote such a line."""
        return any(re.search(pattern, line) for line in list(self.log))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if RUNS in line:
                self._ready.set()
        self._ready.set()  # it ended


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
