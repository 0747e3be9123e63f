"""One process of Beam beside several: from which size on they pay.

    .venv/bin/python benchmarks/scaling.py --pairs 100000 300000 1000000

The synthetic pairs of `data.py`, in one TSV, through PairExampleGen with its filters
(cleaning), and what came of it through Transform with SentencePiece models of 8,000
pieces (tokenization). Once in the process that asks, and once by `multi_processing`
with as many workers. Seconds are those of the clock, from the component's begin to its
end, the start of the workers and what they import included; what the asking process
imports is not. Both must make equally many examples. Writes results/scaling.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from data import FILTERS, write_pairs
from side_by_side import machine, write

VOCABULARY = 8000
LEARNED_FROM = 10_000  # pairs, for the tokenizer; its time is not counted


def clean(path: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Runs PairExampleGen."""
    from tfx.types import standard_artifacts

    from seq2seq_tfx.components.artifacts import RejectedPairs
    from seq2seq_tfx.components.data_config import DataConfig
    from seq2seq_tfx.components.pair_example_gen import COUNTS, Executor, PairExampleGen

    component = PairExampleGen(DataConfig(input=str(path), cleaning=FILTERS))
    outputs = {
        "examples": [_artifact(standard_artifacts.Examples, folder / "examples")],
        "rejected": [_artifact(RejectedPairs, folder / "rejected")],
    }
    seconds = _run(Executor, {}, outputs, component.exec_properties, folder, workers)
    counts = json.loads((folder / "rejected" / COUNTS).read_text())
    return {"seconds": seconds, "made": counts["examples"]}


def tokenize(path: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Runs Transform on what `clean` made in a folder beside this one."""
    from tfx.types import channel_utils, standard_artifacts

    from seq2seq_tfx.components.artifacts import TokenizerModel
    from seq2seq_tfx.components.tokenizer_trainer import (
        Executor as Learn,
    )
    from seq2seq_tfx.components.tokenizer_trainer import (
        SideConfig,
        TokenizerConfig,
    )
    from seq2seq_tfx.components.transform import Executor, Transform
    from seq2seq_tfx.models import features

    examples = _artifact(standard_artifacts.Examples, path)
    examples.split_names = json.dumps([features.TRAIN, features.VALIDATION, features.TEST])
    schema = _artifact(standard_artifacts.Schema, folder / "schema")
    (folder / "schema" / "schema.pbtxt").write_text(
        "".join(
            f'feature {{ name: "{name}" type: BYTES presence {{ min_fraction: 1 min_count: 1 }} '
            f"{shape} }}\n"
            for name, shape in (
                (features.SOURCE, "shape { dim { size: 1 } }"),
                (features.TARGET, "shape { dim { size: 1 } }"),
                (features.REFERENCES, "value_count { min: 1 }"),
            )
        )
    )
    tokenizer = _artifact(TokenizerModel, folder / "tokenizer")
    side = SideConfig(vocabulary_size=VOCABULARY)
    config = TokenizerConfig(source=side, target=side, max_sentences=LEARNED_FROM)
    learn = {"tokenizer_config": config.model_dump_json()}
    Learn().Do({"examples": [examples]}, {"tokenizer": [tokenizer]}, learn)
    inputs = {"examples": [examples], "schema": [schema], "tokenizer": [tokenizer]}
    component = Transform(*(channel_utils.as_channel(artifacts) for artifacts in inputs.values()))
    outputs = {
        "transform_graph": [_artifact(standard_artifacts.TransformGraph, folder / "graph")],
        "transformed_examples": [_artifact(standard_artifacts.Examples, folder / "transformed")],
    }
    seconds = _run(Executor, inputs, outputs, component.exec_properties, folder, workers)
    files = list((folder / "transformed").glob("Split-*/*.gz"))
    made = subprocess.run(
        [sys.executable, "-c", COUNT, *map(str, files)], capture_output=True, text=True, check=True
    )
    return {"seconds": seconds, "made": int(made.stdout.splitlines()[-1])}


COUNT = """
import sys, tensorflow as tf
found = tf.data.TFRecordDataset(sys.argv[1:], compression_type="GZIP").batch(4096)
print(sum(len(batch) for batch in found.as_numpy_iterator()))
"""
STEPS = {"cleaning": clean, "tokenization": tokenize}


def _artifact(kind: Any, folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


def _run(
    executor: Any, inputs: Any, outputs: Any, properties: Any, folder: Path, workers: int
) -> float:
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

    from seq2seq_tfx.pipeline.runner_config import InMemory, MultiProcessing

    section = (
        MultiProcessing(runner="multi_processing", workers=workers) if workers > 1 else InMemory()
    )
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=section.arguments(), tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    started = time.monotonic()
    executor(context).Do(inputs, outputs, properties)
    return time.monotonic() - started


def main() -> None:
    """Measures, prints a table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", choices=STEPS, nargs="+", default=list(STEPS))
    parser.add_argument("--paths", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.paths:
        (step,) = arguments.steps
        print(json.dumps(STEPS[step](*arguments.paths, arguments.workers)))
        return

    several = f"{arguments.workers} processes"
    results = []
    print(f"{'pairs':>10} {'step':<14} {'one process':>12} {several:>12} {'times':>6}")
    for pairs in arguments.pairs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_pairs(folder / "pairs.tsv", pairs)
            inputs = {"cleaning": folder / "pairs.tsv", "tokenization": folder / "1" / "examples"}
            for step in arguments.steps:
                if step == "tokenization" and not inputs[step].exists():
                    _asked("cleaning", inputs["cleaning"], folder / "1", 1)
                one = _asked(step, inputs[step], folder / "1", 1)
                more = _asked(step, inputs[step], folder / "more", arguments.workers)
                if one["made"] != more["made"]:
                    sys.exit(f"{step}: {one['made']} examples and {more['made']} are not as many")
                times = one["seconds"] / more["seconds"]
                found = {"one": one["seconds"], "several": more["seconds"], "times": times}
                results.append({"pairs": pairs, "step": step, **found, "made": one["made"]})
                figures = f"{one['seconds']:>10.1f} s {more['seconds']:>10.1f} s {times:>6.2f}"
                print(f"{pairs:>10,} {step:<14} {figures}", flush=True)
    record = {"workers": arguments.workers, "machine": machine(), "results": results}
    write("scaling", record)


def _asked(step: str, path: Path, folder: Path, workers: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--steps", step, "--workers", str(workers)]
    command += ["--paths", str(path), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{step} with {workers}:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
