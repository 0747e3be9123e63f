"""Running two sides in turn, and what is written of it. Nothing here is a benchmark."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results")
PEER_ENVIRONMENT = ROOT / ".cache" / "joeynmt"
# sentencepiece: JoeyNMT 2.3.0 asks for a call that newer releases lack;
# importlib_metadata: it imports it without saying so.
PEER_PACKAGES = [
    "torch==2.13.0",
    "joeynmt==2.3.0",
    "sentencepiece==0.2.0",
    "importlib_metadata",
]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # as the `seq2seq` command sets it
    "CUDA_VISIBLE_DEVICES": "",
}


def peer_python(
    environment: Path = PEER_ENVIRONMENT, packages: Sequence[str] = PEER_PACKAGES
) -> str:
    """The interpreter of a peer's own environment, made if it is not there: JoeyNMT's or another.

    Its Python is that of `PEER_PYTHON`, or python3: 3.11 has a CPU wheel of PyTorch
    where pip is offered one.
    """
    python = environment / "bin" / "python"
    if not (environment / ".complete").exists():
        print(f"installing {', '.join(packages)} into {environment.relative_to(ROOT)}")
        base = os.environ.get("PEER_PYTHON", "python3")
        subprocess.run([base, "-m", "venv", "--clear", str(environment)], check=True)
        # Alone first: asked for together, pip may take another release of PyTorch.
        for asked_for in (packages[:1], packages):
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *asked_for], check=True)
        (environment / ".complete").touch()
    return str(python)


def asked(python: str, script: Path, *arguments: Any) -> dict[str, Any]:
    """Runs a script on one thread and reads the JSON of its last line."""
    done = subprocess.run(
        [python, str(script), *map(str, arguments)],
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script.name} ended with {done.returncode}; what it said is above")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }


def ratio(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Of each round's pair, ours over theirs."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def machine() -> dict[str, Any]:
    """Where it was measured."""
    described: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        described.setdefault(name.strip(), value.strip())
    flags = described.get("flags", "").split()
    return {
        "cpu": described.get("model name", platform.machine()),
        "vectors": next((name for name in ("avx512f", "avx2", "avx") if name in flags), "none"),
        "cores": os.cpu_count(),
    }


def write(name: str, record: dict[str, Any]) -> Path:
    """Writes results/<name>.json; `ratios` in it is flat: ours over the peer's."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path
