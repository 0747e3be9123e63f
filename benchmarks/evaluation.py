"""What Evaluator costs beside decoding alone, in CPU seconds.

    .venv/bin/seq2seq data cmudict && .venv/bin/seq2seq run      # makes output/g2p
    .venv/bin/python benchmarks/evaluation.py                    # some minutes

The pushed model answers the sources of the test split as Evaluator has it answer them, and
then the component itself runs on the same pairs, each round in a process of its own: on a
few pairs and on all of them, in turns. What a few cost is the start (the model is loaded,
Beam and TFMA begin); what grows with the pairs is held against decoding. Writes
benchmarks/results/evaluation.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from seq2seq_tfx.components.evaluation import EvaluationConfig
from seq2seq_tfx.components.evaluator import EvaluatedSentences, Executor
from seq2seq_tfx.models import features
from seq2seq_tfx.serving.equal_batches import batches
from seq2seq_tfx.serving.local_model import LocalModel, newest_model

FEW = 300
METRICS = ["sequence_error_rate", "token_error_rate"]  # those of the default job
RESULT = Path(__file__).with_name("results") / "evaluation.json"


def measure(output: Path, pairs: int) -> dict[str, float]:
    """CPU seconds of this process for decoding, and for Evaluator, on some pairs."""
    model = newest_model(output).absolute()
    examples = max((output / "artifacts" / "PairExampleGen" / "examples").iterdir(), key=_number)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        records = _some_of(examples / f"Split-{features.TEST}", pairs, folder / "examples")
        (folder / "examples" / "Split-train").symlink_to((examples / "Split-train").absolute())
        (folder / "model").mkdir()
        (folder / "model" / "Format-Serving").symlink_to(model)
        decoding = decode(LocalModel(model), records)
        start = time.process_time()
        evaluate(folder)
        return {"decoding": decoding, "evaluator": time.process_time() - start}


def decode(model: LocalModel, records: Iterable[bytes]) -> float:
    """CPU seconds for the answers to all sources, in the batches of Evaluator."""
    examples = map(tf.train.Example.FromString, records)
    values = [one.features.feature[features.SOURCE].bytes_list.value[0] for one in examples]
    sources = [value.decode() for value in values]
    model.assess(sources[:32])  # makes the graph ready
    start = time.process_time()
    for places in batches([len(source) for source in sources]):
        model.assess([sources[place] for place in places])
    return time.process_time() - start


def evaluate(folder: Path) -> None:
    """Runs the component on what lies in a folder."""
    inputs = {"examples": standard_artifacts.Examples(), "model": standard_artifacts.Model()}
    inputs["examples"].split_names = artifact_utils.encode_split_names(["train", features.TEST])
    outputs = {"evaluation": standard_artifacts.ModelEvaluation()}
    outputs["sentences"] = EvaluatedSentences()
    for name, artifact in (inputs | outputs).items():
        artifact.uri = str(folder / name)
        (folder / name).mkdir(exist_ok=True)
    options = ["--direct_num_workers=1", "--direct_running_mode=in_memory"]
    context = Executor.Context(
        beam_pipeline_args=options, tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    Executor(context).Do(
        {name: [artifact] for name, artifact in inputs.items()},
        {name: [artifact] for name, artifact in outputs.items()},
        {"evaluation_config": EvaluationConfig(metrics=METRICS).model_dump_json()},
    )


def _some_of(split: Path, pairs: int, to: Path) -> list[bytes]:
    """Writes evenly chosen pairs of a split, and gives them."""
    files = sorted(map(str, split.iterdir()))
    every = [record.numpy() for record in tf.data.TFRecordDataset(files, "GZIP")]
    chosen = every[:: max(len(every) // pairs, 1)][:pairs] if pairs else every
    (to / split.name).mkdir(parents=True)
    with tf.io.TFRecordWriter(str(to / split.name / "data-00000-of-00001.gz"), "GZIP") as writer:
        for record in chosen:
            writer.write(record)
    return chosen


def _number(path: Path) -> int:
    return int(path.name) if path.name.isdecimal() else -1


def _asked(output: Path, pairs: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--output", str(output), "--one", str(pairs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("output", "g2p"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # pairs; 0 for all
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.output, arguments.one)))
        return
    rounds = []
    for _ in range(arguments.rounds):
        few, every = (_asked(arguments.output, pairs) for pairs in (FEW, 0))
        grows = {name: every[name] - few[name] for name in few}
        rounds.append({"few": few, "all": every, "ratio": grows["evaluator"] / grows["decoding"]})
        print(json.dumps(rounds[-1]), flush=True)
    ratios = [one["ratio"] for one in rounds]
    result = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "rounds": rounds,
        "ratios": {"evaluator_over_decoding": statistics.median(ratios)},
        "spread": [min(ratios), max(ratios)],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["ratios"]))


if __name__ == "__main__":
    main()
