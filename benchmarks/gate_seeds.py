"""How many equally good models the gate holds back: one small job, trained with many seeds.

    make bench-gate-seeds                                        # an hour
    .venv/bin/python benchmarks/gate_seeds.py --seeds 10 --folder FOLDER

The job is spelling to sound in small: a letter's sound depends on the next letter, by a
table that is learned from examples alone. It is trained and judged by
`seq2seq gate calibrate` with the margin of pipeline_config.yaml, some seeds a process, for
a process keeps memory of each training. After each process the result is written anew, to
benchmarks/results/gate_seeds.json; with the same folder more seeds are added later.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from side_by_side import machine

RESULT = Path(__file__).with_name("results") / "gate_seeds.json"
COMMAND = [sys.executable, "-c", "from seq2seq_tfx.pipeline.cli import main; main()"]
METRIC = "sequence_error_rate"
MARGIN = 0.02  # of pipeline_config.yaml
LETTERS = "abcdefghij"
PACKAGES = ("tfx", "tensorflow", "keras", "numpy")
JOB = """\
name: sounds
data: {{input: {data}, splits: {{train: 50, validation: 5, test: 45}}}}
tokenizer: {{source: {{kind: character}}, target: {{kind: word}}}}
model: {{size: {{embedding: 32, units: 64}}}}
training: {{epochs: {epochs}, batch_size: 64, learning_rate: 0.01, warmup_steps: 50}}
search: {{beam_size: 1, max_length: 10}}
evaluation: {{metrics: [{metric}]}}
gate: {{thresholds: {{{metric}: {{max: 0.4}}}}, max_loss: {{{metric}: {margin}}}}}
infra_validation: {{requests: 1}}
"""


def pairs(count: int) -> dict[str, str]:
    """Words, and the sounds of their letters: most of each letter's are one and the same."""
    generator = random.Random(1)
    often = [1 / (1 + place) for place in range(len(LETTERS))]
    table: dict[tuple[str, ...], str] = {}
    found: dict[str, str] = {}
    while len(found) < count:
        word = "".join(generator.choices(LETTERS, often, k=generator.randint(3, 8)))
        sounds = []
        for near in zip(word, f"{word[1:]} ", strict=True):
            if near not in table:
                table[near] = near[0].upper() + generator.choices("123", (7, 2, 1))[0]
            sounds.append(table[near])
        found[word] = " ".join(sounds)
    return found


def write_pairs(path: Path, count: int) -> None:
    """Writes the job's data, unless it is there: to TFX a file of another time is another file."""
    text = "".join(f"{word}\t{sounds}\n" for word, sounds in pairs(count).items())
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def calibrated(job: Path, folder: Path, seeds: int) -> dict[str, Any]:
    """What the command finds; of seeds that it had before the trainings come from its cache."""
    asked = ["gate", "calibrate", "--config", job, "--output", folder, "--seeds", seeds]
    subprocess.run([*COMMAND, *map(str, asked)], stdout=sys.stderr, check=True)
    (found,) = json.loads((folder / "calibration" / "calibration.json").read_text())["metrics"]
    return dict(found)


def described(found: dict[str, Any]) -> dict[str, Any]:
    """The same, and how far its figures are apart."""
    figures = found["figures"]
    return {
        **found,
        "mean": statistics.mean(figures),
        "deviation": statistics.stdev(figures),
        "range": [min(figures), max(figures)],
    }


def main() -> None:
    """Trains, judges, writes after each process, prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=45)
    parser.add_argument("--step", type=int, default=9, help="seeds a process")
    parser.add_argument("--words", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="of the trainings; kept")
    parser.add_argument("--to", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        data, job = folder / "pairs.tsv", folder / "job.yaml"
        write_pairs(data, arguments.words)
        values = {"data": data, "epochs": arguments.epochs, "metric": METRIC, "margin": MARGIN}
        job.write_text(JOB.format(**values))
        last = arguments.seeds
        for seeds in [*range(arguments.step, last, arguments.step), last]:
            found = described(calibrated(job, folder, seeds))
            record = {
                "words": arguments.words,
                "epochs": arguments.epochs,
                "seeds": seeds,
                **found,
                "machine": machine(),
                "versions": {name: version(name) for name in PACKAGES},
            }
            arguments.to.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
