"""Ingestion and cleaning at size: CPU time a pair and memory, beside two other ways.

    .venv/bin/python benchmarks/data.py --pairs 100000 1000000

Synthetic pairs of about 240 bytes, one in a hundred of them repeated and one in a
hundred broken, go from a TSV through the filters of `FILTERS` to kept and rejected
rows:

- by what `seq2seq data check` runs, with its statistics;
- by what PairExampleGen runs, which groups by source and writes Examples;
- by a script of the kind that one writes instead, which holds what it has seen;
- by OpusFilter, in an environment of its own below .cache. It has no filters for
  identical sides and placeholders that are as quick, so it goes without, and it
  tells no reasons.

Each in a process of its own; CPU time is counted after the imports. Writes
benchmarks/results/data.json.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
from side_by_side import RESULTS, ROOT, machine, peer_python

OPUSFILTER = ["opusfilter==3.3.1"]
FILTERS = [
    {"filter": "normalize"},
    {"filter": "control_characters"},
    {"filter": "length_ratio", "max": 3.0},
    {"filter": "identical"},
    {"filter": "placeholders"},
    {"filter": "numbers"},
    {"filter": "duplicates"},
]
CHUNK = 100_000


def write_pairs(path: Path, pairs: int) -> None:
    """Writes a TSV of pseudo-words, the same for the same number."""
    random = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnoprstuvwzäöüß"))
    words = np.array(["".join(random.choice(letters, n)) for n in random.integers(2, 12, 30_000)])
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, pairs, CHUNK):
            count = min(CHUNK, pairs - start)
            drawn = words[random.integers(0, len(words), (count, 28))]
            sides = [[" ".join(row) for row in part] for part in (drawn[:, :14], drawn[:, 14:])]
            kinds = random.integers(0, 100, count)
            for i, (source, target) in enumerate(zip(*sides, strict=True)):
                if kinds[i] == 0 and i:
                    source, target = sides[0][i - 1], sides[1][i - 1]
                elif kinds[i] == 1:
                    target = f"{target} {i}"
                file.write(f"{source}\t{target}\n")


def pipeline(path: Path, folder: Path) -> None:
    """What `seq2seq data check` runs."""
    from seq2seq_tfx.components.bitext_limits import DataValidationConfig
    from seq2seq_tfx.components.data_check import check_pairs
    from seq2seq_tfx.components.data_config import DataConfig
    from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS

    started = _cpu()
    config = DataConfig(input=str(path), cleaning=FILTERS)
    report = check_pairs(config, DataValidationConfig(), folder, list(BEAM_ARGS))
    _tell(started, report.kept)


def example_gen(path: Path, folder: Path) -> None:
    """What PairExampleGen runs."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts

    from seq2seq_tfx.components.artifacts import RejectedPairs
    from seq2seq_tfx.components.data_config import DataConfig
    from seq2seq_tfx.components.pair_example_gen import COUNTS, Executor, PairExampleGen
    from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS

    started = _cpu()
    component = PairExampleGen(DataConfig(input=str(path), cleaning=FILTERS))
    outputs = {"examples": [standard_artifacts.Examples()], "rejected": [RejectedPairs()]}
    for name, (artifact,) in outputs.items():
        artifact.uri = str(folder / name)
        (folder / name).mkdir()
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(BEAM_ARGS), tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    Executor(context).Do({}, outputs, component.exec_properties)
    _tell(started, json.loads((folder / "rejected" / COUNTS).read_text())["accepted"])


def opusfilter(path: Path, folder: Path) -> None:
    """OpusFilter's own steps; run by the interpreter of its environment."""
    from opusfilter.opusfilter import OpusFilter

    started = _cpu()
    with (
        path.open(encoding="utf-8") as lines,
        (folder / "a").open("w", encoding="utf-8") as source,
        (folder / "b").open("w", encoding="utf-8") as target,
    ):
        for line in lines:
            sides = line.rstrip("\n").split("\t")
            source.write(f"{sides[0]}\n")
            target.write(f"{sides[1]}\n")

    def step(kind: str, number: int, **parameters: object) -> dict[str, object]:
        inputs = [name + "'" * number for name in "ab"]
        outputs = [f"{name}'" for name in inputs]
        return {"type": kind, "parameters": {"inputs": inputs, "outputs": outputs, **parameters}}

    control = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    steps = [
        step("preprocess", 0, preprocessors=[{"WhitespaceNormalizer": {}}]),
        step(
            "filter",
            1,
            filters=[
                {"RegExpFilter": {"regexps": control, "accept_match": False}},
                {"LengthRatioFilter": {"unit": "char", "threshold": 3}},
                {"NonZeroNumeralsFilter": {"threshold": 1.0}},
            ],
        ),
        step("remove_duplicates", 2),
    ]
    common = {"output_directory": str(folder), "default_n_jobs": 1}
    OpusFilter({"common": common, "steps": steps}).execute_steps()
    with (folder / "a'''").open() as kept:
        _tell(started, sum(1 for _ in kept))


def script(path: Path, folder: Path) -> None:
    """The same filters, in a loop."""
    started = _cpu()
    placeholder, number = re.compile(r"\{[^{}]*\}|%[a-z]"), re.compile(r"\d+")
    seen: set[tuple[str, str]] = set()
    kept = 0
    with (
        path.open(encoding="utf-8") as lines,
        (folder / "kept.jsonl").open("w", encoding="utf-8") as good,
        (folder / "rejected.jsonl").open("w", encoding="utf-8") as bad,
    ):
        for line_number, line in enumerate(lines, start=1):
            sides = line.rstrip("\n").split("\t")
            reason = None
            if len(sides) != 2:
                reason = "fields"
            else:
                source, target = (
                    " ".join(unicodedata.normalize("NFC", side).split()) for side in sides
                )
                if not source or not target:
                    reason = "empty"
                elif any(unicodedata.category(c) == "Cc" for c in source + target):
                    reason = "control"
                elif max(len(source), len(target)) > 3 * min(len(source), len(target)):
                    reason = "ratio"
                elif source.casefold() == target.casefold():
                    reason = "identical"
                elif sorted(placeholder.findall(source)) != sorted(placeholder.findall(target)):
                    reason = "placeholders"
                elif sorted(number.findall(source)) != sorted(number.findall(target)):
                    reason = "numbers"
                elif (source, target) in seen:
                    reason = "duplicate"
            if reason:
                row = {"reason": reason, "line": line_number, "text": line[:200]}
                bad.write(json.dumps(row, ensure_ascii=False) + "\n")
            else:
                seen.add((source, target))
                kept += 1
                row = {"source": source, "target": target, "line": line_number}
                good.write(json.dumps(row, ensure_ascii=False) + "\n")
    _tell(started, kept)


WAYS = {
    "data check": pipeline,
    "example gen": example_gen,
    "script": script,
    "opusfilter": opusfilter,
}
PEERS = ("script", "opusfilter")


def _cpu() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def _tell(started: float, kept: int) -> None:
    # Not `ru_maxrss`, which is what the process before this one had, if that is more.
    status = Path("/proc/self/status").read_text()
    peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024
    print(json.dumps({"cpu_seconds": _cpu() - started, "peak_bytes": peak, "kept": kept}))


def main() -> None:
    """Measures, prints a table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=list(WAYS))
    parser.add_argument("--alone-from", type=int, help="so many pairs are measured without peers")
    parser.add_argument("--paths", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.paths:
        WAYS[arguments.ways[0]](*arguments.paths)
        return

    results = []
    print(f"{'pairs':>12} {'way':<12} {'us CPU a pair':>14} {'pairs a CPU s':>14} {'MB':>7}")
    for pairs in arguments.pairs:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pairs.tsv")
            write_pairs(path, pairs)
            alone = arguments.alone_from and pairs >= arguments.alone_from
            for way in (way for way in arguments.ways if not (alone and way in PEERS)):
                found = _measured(way, path)
                results.append({"pairs": pairs, "bytes": path.stat().st_size, "way": way, **found})
                cpu, memory = found["cpu_seconds"] / pairs, found["peak_bytes"] / 1e6
                figures = f"{cpu * 1e6:>14.1f} {1 / cpu:>14,.0f} {memory:>7,.0f}"
                print(f"{pairs:>12,} {way:<12} {figures}", flush=True)
    record = {"filters": FILTERS, "machine": machine(), "results": results}
    (RESULTS / "data.json").write_text(json.dumps(record, indent=2) + "\n")


def _measured(way: str, path: Path) -> dict[str, float]:
    python = sys.executable
    if way == "opusfilter":
        python = peer_python(ROOT / ".cache" / "opusfilter", OPUSFILTER)
    with tempfile.TemporaryDirectory() as folder:
        command = [python, __file__, "--ways", way, "--paths", str(path), folder]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{way}:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
