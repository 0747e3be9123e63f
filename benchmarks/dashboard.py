"""How long the dashboard's pages take on a large store.

    .venv/bin/python benchmarks/dashboard.py                       # 100 runs, 100,000 sentences
    .venv/bin/python benchmarks/dashboard.py --runs 5 --sentences 1000

Of the runs the newest four evaluated all the sentences, with a baseline, the others 200;
what the last two show is read ahead, and nothing of the two before. The command runs in
a process of its own; pages are asked by HTTP, one after another.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

from dashboard_store import Maker, make_rows

RESULTS = Path(__file__).parent / "results" / "dashboard.json"
REPEATS = 5


def main() -> None:
    """Makes the store, asks the pages, prints and writes the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--sentences", type=int, default=100_000)
    parser.add_argument("--to", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "translation"
        maker = Maker(output)
        few = make_rows(200, 1)
        for number in range(options.runs - 4):
            maker.add(few, learning_rate=0.001 + number * 1e-5, blessed=number % 3 > 0)
        answers = (
            (5, 0.4),
            (4, 0.35),
            (2, 0.3),
            (3, 0.25),
        )  # their seed, and how many words are wrong
        numbers = [maker.add(make_rows(options.sentences, *each)) for each in answers]
        size = sum(f.stat().st_size for f in output.rglob("*") if f.is_file())
        found = measure(output, numbers)
    result = {
        "runs": options.runs,
        "sentences": options.sentences,
        "megabytes": round(size / 1e6, 1),
        "cores": os.cpu_count(),
        **found,
    }
    options.to.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def measure(output: Path, numbers: list[int]) -> dict:
    """Seconds to start, and of each page the first time and the median of later ones."""
    oldest, run = (f"/runs/translation/{numbers[place]}" for place in (1, 3))
    unread, first, before, after = (quote(f"translation/{number}", safe="") for number in numbers)
    pages = {
        "runs": "/",
        "run": run,
        "sentences, worst first": f"{run}/sentences",
        "sentences, page 1,000": f"{run}/sentences?page=1000",
        "sentences, lost most": f"{run}/sentences?sort=lost",
        "sentences, repetitive": f"{run}/sentences?sort=repetition",
        "sentences, searched": f"{run}/sentences?q=w17",
        "sentences, one slice, another metric": (
            f"{run}/sentences?slice.source_length=33-64&metric=chrf"
        ),
        "two runs": f"/compare?before={before}&after={after}",
        "two runs, another metric": f"/compare?before={before}&after={after}&metric=chrf",
        "sentences of a run that was not read ahead": f"{oldest}/sentences",
        "two runs, not compared ahead": f"/compare?before={first}&after={after}",
        "two runs, one not read ahead": f"/compare?before={unread}&after={after}",
    }
    start = time.perf_counter()
    command = [sys.executable, "-c", "from seq2seq_tfx.pipeline.cli import main; main()"]
    command += ["dashboard", str(output), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "http://" in line)
            started = time.perf_counter() - start
            address = re.findall(r"http://\S+(?=/ )", line)[0]
            times = {}
            for name, page in pages.items():
                first, *later = (_seconds(address + page) for _ in range(1 + REPEATS))
                times[name] = {"first": first, "again": round(statistics.median(later), 3)}
            status = Path(f"/proc/{process.pid}/status").read_text()
            memory = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) // 1024
        finally:
            process.terminate()
    return {"start": round(started, 2), "pages": times, "memory_mb": memory}


def _seconds(address: str) -> float:
    start = time.perf_counter()
    with urllib.request.urlopen(address, timeout=300) as reply:
        reply.read()
    return round(time.perf_counter() - start, 3)


if __name__ == "__main__":
    main()
