"""Target tokens per CPU second of training, beside JoeyNMT on the same batches.

    make bench-training

Both sides train JoeyNMT's recurrent model (`joeynmt_twin.yaml`) in processes of their
own, in turn, on one thread: vocabularies of 8,000, batches of 64 pairs of 15 to 25
tokens, Adam with the gradient's norm cut to 1, no dropout. The first epoch, in which
TensorFlow compiles, is not timed. Ours is `model.fit` with all that surrounds a step;
JoeyNMT's is its step alone. Writes benchmarks/results/training.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from pairs import asked, machine, peer_python, ratio, spread, write

HERE = Path(__file__).parent
VOCABULARY, BATCH, SHORTEST, LONGEST = 8000, 64, 15, 25
BOS, EOS, SPECIAL = 1, 2, 4
RATE = 2e-3


def write_batches(path: Path, count: int, vocabulary: int = VOCABULARY) -> None:
    """Random sources, their words as often as in a text; each target word stands for one."""
    rng = np.random.default_rng(7)
    words = vocabulary - SPECIAL
    often = 1 / np.arange(1, words + 1)
    translation = rng.permutation(words)
    arrays = {}
    for number in range(count):
        sources, targets = [], []
        for _ in range(BATCH):
            source = rng.choice(words, rng.integers(SHORTEST, LONGEST + 1), p=often / often.sum())
            sources.append([*(source + SPECIAL), EOS])
            targets.append([BOS, *(translation[source] + SPECIAL), EOS])
        for name, rows in (("source", sources), ("target", targets)):
            padded = np.zeros((BATCH, max(map(len, rows))), "int64")
            for row, ids in zip(padded, rows, strict=True):
                row[: len(ids)] = ids
            arrays[f"{name}_{number}"] = padded
    np.savez(path, **arrays)


def multiplications(model: str, hidden: int, input_feeding: bool) -> float:
    """Of a target token, forward, with as many source tokens: the products by weights alone."""
    h, v = hidden, VOCABULARY
    encoder = 2 * (h + h) * 4 * h
    feeds = h if input_feeding else 0
    decoder = (h + feeds + h) * 4 * h
    memory, query = 2 * h * h, h * h if model == "twin" else 0
    readout = 3 * h * h + h * v if model == "twin" else 3 * h * v
    return encoder + decoder + memory + query + readout


def rates(record: dict) -> list[float]:
    """Tokens per CPU second of the epochs that count."""
    return [epoch["target_tokens"] / epoch["cpu_seconds"] for epoch in record["epochs"][1:]]


def main() -> None:
    """Measures, prints a table, writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, nargs="*", default=[256, 512])
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=3, help="the first is not timed")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    theirs = peer_python()
    record: dict = {
        "what": "target tokens per CPU second, one thread; ratios are ours over JoeyNMT's",
        "machine": machine(),
        "settings": {**vars(arguments), "vocabulary": VOCABULARY, "batch": BATCH, "rate": RATE},
        "ratios": {},
        "rounds": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batches.npz"
        write_batches(path, arguments.batches)
        for hidden in arguments.hidden:
            measure(record, path, hidden, theirs, arguments)
    print(f"written: {write('training', record)}")


def measure(record: dict, path: Path, hidden: int, theirs: str, arguments: argparse.Namespace) -> None:
    """All models of a size, round after round."""
    common = ["--vocabulary", VOCABULARY, "--hidden", hidden, "--epochs", arguments.epochs]
    common += ["--rate", RATE]
    sides = {
        "joeynmt": (theirs, "peers/joeynmt_training.py", ["--input-feeding", 1]),
        "twin": (sys.executable, "training_ours.py", ["--input-feeding", 1]),
        "joeynmt_unfed": (theirs, "peers/joeynmt_training.py", ["--input-feeding", 0]),
        "twin_unfed": (sys.executable, "training_ours.py", ["--input-feeding", 0]),
        "default": (sys.executable, "training_ours.py", ["--model", "default"]),
    }
    found: dict[str, list[dict]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, (python, script, extra) in sides.items():
            found[name].append(asked(python, HERE / script, path, *common, *extra))
    medians = {
        name: [float(np.median(rates(one))) for one in records] for name, records in found.items()
    }
    peers = {"twin": "joeynmt", "twin_unfed": "joeynmt_unfed", "default": "joeynmt_unfed"}
    print(f"hidden size {hidden}, target tokens per CPU second")
    for name, values in medians.items():
        losses = [epoch["loss"] for epoch in found[name][0]["epochs"]]
        table = {
            "tokens_per_cpu_second": spread(values),
            "losses": [round(loss, 3) for loss in losses],
            "parameters": found[name][0]["parameters"],
            "grown_mib": spread([one["grown_mib"] for one in found[name]]),
            "million_multiplications_a_token": round(
                multiplications(name.split("_")[0].replace("joeynmt", "twin"), hidden, name in ("twin", "joeynmt")) / 1e6, 2
            ),
            "versions": found[name][0]["versions"],
        }
        told = ""
        if name in peers:
            table["ratio"] = ratio(values, medians[peers[name]])
            record["ratios"][f"{name}_{hidden}"] = table["ratio"]["median"]
            memory = table["grown_mib"]["median"] / spread(
                [one["grown_mib"] for one in found[peers[name]]]
            )["median"]
            record["ratios"][f"{name}_{hidden}_memory"] = round(memory, 3)
            told = f"  {table['ratio']['median']:.2f} times {peers[name]}, memory {memory:.2f} times"
        record["rounds"][f"{name}_{hidden}"] = table
        print(f"  {name:14} {table['tokens_per_cpu_second']['median']:8,.0f}"
              f"  loss {losses[0]:.2f} to {losses[-1]:.2f}{told}")


if __name__ == "__main__":
    main()
