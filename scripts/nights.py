"""Five nights of a small job, unattended: what is pushed, what is stopped, what is served.

Night 1 brings a first model, night 2 more data and a warm start, night 3 corrupted data,
night 4 a model that trained badly, night 5 good data again. After each night the server is
asked, and the served version is traced back to its spans.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

EXPECTED = ["pushed", "pushed", "data gate", "release gate", "pushed"]
NAMES = {0: "pushed", 3: "release gate", 5: "data gate"}
EVENTS = {"pushed": "blessed", "release gate": "not_blessed", "data gate": "data_gate"}
SEQ2SEQ = [sys.executable, "-c", "from seq2seq_tfx.pipeline.cli import main; main()"]
CORRUPTED, BADLY_TRAINED = 3, 4

JOB = """\
name: nights
data:
  input: {folder}/pairs-{{SPAN}}.tsv
  splits: {{train: 70, validation: 10, test: 20}}
data_validation: {{max_identical: 0.1}}
tokenizer: {{source: {{kind: character}}, target: {{kind: character}}}}
model: {{size: {{embedding: 16, units: 32}}, dropout: 0.0}}
training: {training}
search: {{beam_size: 1, max_length: 8}}
evaluation: {{metrics: [sequence_error_rate]}}
gate:
  thresholds: {{sequence_error_rate: {{max: 0.2}}}}
  max_loss: {{sequence_error_rate: 0.1}}
unattended: {{catch_up: true, retries: 1, backoff_seconds: 1}}
notify: {{webhook: "{hook}"}}
"""
GOOD = "{epochs: 6, batch_size: 32, learning_rate: 0.02, warm_start: last_blessed}"
BAD = "{epochs: 1, batch_size: 32, learning_rate: 0.0000001}"


def pairs(night: int, count: int = 1000) -> list[tuple[str, str]]:
    """The task: a word's last letter."""
    generator = random.Random(night)
    # All of one length: one shape of batch, and TensorFlow compiles each once.
    words = ["".join(generator.choices("abcdefgh", k=4)) for _ in range(count)]
    return [(word, word[-1]) for word in dict.fromkeys(words)]


@contextmanager
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server on loopback; gives its address and what it is told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        server.server_close()


class Server:
    """`seq2seq serve` on the pushed versions, for all nights.

    Args:
      folder: the output folder.
      port: of REST, free.
    """

    def __init__(self, folder: Path, port: int):
        self._address = f"http://127.0.0.1:{port}/v1/models/seq2seq"
        ports = ["--grpc-port", "0", "--rest-port", str(port)]
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [*SEQ2SEQ, "serve", "--output", str(folder), *ports],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def wait_for(self, version: str, seconds: float = 180) -> None:
        """Waits until a version answers.

        Raises:
          RuntimeError: it does not.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                states = self._get()["model_version_status"]
            except (urllib.error.URLError, ConnectionError):
                states = []
            newest = max(states, key=lambda state: int(state["version"]), default={})
            if (newest.get("version"), newest.get("state")) == (version, "AVAILABLE"):
                return
            time.sleep(0.2)
        raise RuntimeError(f"version {version} is not served: {states}")

    def answer(self, sources: list[str]) -> list[str]:
        """What the newest version answers."""
        body = json.dumps({"instances": [{"text": source} for source in sources]}).encode()
        rows = self._get(":predict", body)["predictions"]
        return [row["text"] for row in rows]

    def _get(self, path: str = "", body: bytes | None = None) -> Any:
        with urllib.request.urlopen(self._address + path, body, timeout=60) as response:
            return json.load(response)

    def close(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait()
        self._log.close()


def free_port() -> int:
    """A port that nobody uses now."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def seq2seq(log: Path, one_process: bool, *arguments: str) -> int:
    """Runs the command, in a process of its own or here; gives its exit code."""
    with log.open("a", encoding="utf-8") as file:
        if not one_process:
            return subprocess.run([*SEQ2SEQ, *arguments], stdout=file, stderr=file).returncode
        from seq2seq_tfx.pipeline.cli import main

        sys.stdout.flush()
        saved = os.dup(1), os.dup(2)
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            main(list(arguments), standalone_mode=False)
        except SystemExit as ended:
            return int(ended.code or 0)
        finally:
            sys.stdout.flush()
            for stream, original in enumerate(saved, start=1):
                os.dup2(original, stream)
                os.close(original)
    return 0


def ask(*arguments: str) -> Any:
    """What `seq2seq runs --json` answers."""
    done = subprocess.run([*SEQ2SEQ, "runs", "--json", *arguments], capture_output=True, check=True)
    return json.loads(done.stdout)


def nights(folder: Path, one_process: bool) -> list[str]:
    """Lives through the five nights, and prints a line for each.

    Args:
      folder: an empty one.
      one_process: whether all nights share one, which saves the import of the stack.

    Returns:
      What was not as it must be.
    """
    output, log, faults, served = folder / "out", folder / "nights.log", [], None
    server: Server | None = None
    test = pairs(99)[:100]
    with hook() as (address, told):
        try:
            for night, expected in enumerate(EXPECTED, start=1):
                bad = night == CORRUPTED
                rows = [(source, source if bad else target) for source, target in pairs(night)]
                text = "".join(f"{source}\t{target}\n" for source, target in rows)
                (folder / f"pairs-{night}.tsv").write_text(text)
                training = BAD if night == BADLY_TRAINED else GOOD
                job = folder / "job.yaml"
                job.write_text(JOB.format(folder=folder, training=training, hook=address))
                began = time.monotonic()
                command = ["run", "--config", str(job), "--output", str(output)]
                code = seq2seq(log, one_process, *command)
                ended = NAMES.get(code, "error")
                print(f"night {night}: {ended}", flush=True)
                print(f"  code {code} after {time.monotonic() - began:.0f} s", flush=True)
                if ended != expected:
                    faults.append(f"night {night}: expected {expected}, was {ended}")
                    break

                run = ask("--output", str(output), "--last", "1")[0]
                events = [each["event"] for each in told]
                print(f"  told: {told[-1]['text'].splitlines()[0] if told else 'nobody'}")
                if run["spans"] != [str(night)] or events[night - 1 :] != [EVENTS[ended]]:
                    faults.append(f"night {night}: ran {run['spans']}, told {events}")
                served = run["version"] or served
                assert served is not None
                server = server or Server(output, free_port())
                server.wait_for(served)
                answers = server.answer([source for source, _ in test])
                right = sum(a == target for a, (_, target) in zip(answers, test, strict=True))
                print(f"  served: version {served}, {right} of {len(test)} answers right")
                if right < 0.8 * len(test):
                    faults.append(f"night {night}: {right} of {len(test)} answers right")
                chain = ask("--output", str(output), "--lineage", served)
                spans = [link["spans"] for link in chain]
                print(f"  lineage: spans {' <- '.join(', '.join(each) for each in spans)}")
                good = [n for n in range(night, 0, -1) if EXPECTED[n - 1] == "pushed"]
                if spans != [[str(n)] for n in good]:
                    faults.append(f"night {night}: learned from spans {spans}")
            else:
                faults += afterwards(log, one_process, output, job)
        finally:
            if server:
                server.close()
    return faults


def afterwards(log: Path, one_process: bool, output: Path, job: Path) -> list[str]:
    """Removes what only older runs needed, and runs once more: all from the cache."""
    code = seq2seq(log, one_process, "gc", "--output", str(output), "--keep", "1")
    if code == 0:
        command = ["run", "--config", str(job), "--output", str(output)]
        code = seq2seq(log, one_process, *command)
    states = ask("--output", str(output), "--last", "1")[0]["components"]
    again = sorted(name for name, state in states.items() if state != "cached")
    print(f"after gc: code {code}, run again: {', '.join(again)}")
    versions = [p.name for p in output.glob("serving/seq2seq/*")]
    # The newest is served; the one before it is the baseline of the run that is kept.
    well = code == 0 and again == ["Baseline"] and len(versions) == 2
    return [] if well else [f"after gc: code {code}, {again} run again, versions {versions}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="empty; a temporary one if left out")
    parser.add_argument("--one-process", action="store_true", help="quicker: import once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = (given.folder or Path(temporary)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        wrong = nights(place, given.one_process)
        if wrong:
            print("\n".join(wrong), file=sys.stderr)
            print((place / "nights.log").read_text()[-3000:], file=sys.stderr)
    sys.exit(bool(wrong))
