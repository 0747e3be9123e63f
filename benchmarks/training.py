"""Target tokens per CPU second of training, beside JoeyNMT on the same batches.

    make bench-training

Both sides train JoeyNMT's recurrent model (`joeynmt_twin.yaml`) in processes of their
own, in turn, on one thread: vocabularies of 8,000, batches of 64 pairs of 15 to 25
tokens, Adam with the gradient's norm cut to 1, no dropout. The first epoch, in which
TensorFlow compiles, is not timed. Ours is `model.fit` with all that surrounds a step;
JoeyNMT's is its step alone. So an epoch has 24 batches: what `fit` does at the start of
each counts, and a real epoch, with hundreds, feels little of it. Writes
benchmarks/results/training.json, and ends with 1 where a side does not learn: its loss
must fall, and end where its peer's does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from side_by_side import asked, machine, peer_python, ratio, spread, write

HERE = Path(__file__).parent
VOCABULARY, BATCH, SHORTEST, LONGEST = 8000, 64, 15, 25
BOS, EOS, SPECIAL = 1, 2, 4
RATE = 2e-3
ALIKE = 0.05  # how far the last losses of a side and its peer may be apart, of the peer's
# Each side: its script, how it is asked, and whom it is compared with.
SIDES = {
    "joeynmt": ("peers/joeynmt_training.py", ["--input-feeding", 1], None),
    "twin": ("training_ours.py", ["--input-feeding", 1], "joeynmt"),
    "joeynmt_unfed": ("peers/joeynmt_training.py", ["--input-feeding", 0], None),
    "twin_unfed": ("training_ours.py", ["--input-feeding", 0], "joeynmt_unfed"),
    "default": ("training_ours.py", ["--model", "default"], "joeynmt_unfed"),
}


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


def faults(losses: dict[str, list[float]]) -> list[str]:
    """Which sides do not learn, or not as their peers do.

    Args:
      losses: of each side, by epoch.
    """
    found = []
    for name, (_, _, peer) in SIDES.items():
        first, last = losses[name][0], losses[name][-1]
        if not last < first:
            found.append(f"{name}: expected a loss that falls, found {first:.3f} to {last:.3f}")
        if peer and not abs(last - losses[peer][-1]) <= ALIKE * losses[peer][-1]:
            found.append(
                f"{name}: expected the loss to end within {ALIKE:.0%} of that of {peer} "
                f"({losses[peer][-1]:.3f}), found {last:.3f}"
            )
    return found


def main() -> None:
    """Measures, prints a table, writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, nargs="*", default=[256, 512])
    parser.add_argument("--batches", type=int, default=24, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=2, help="the first is not timed")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    theirs = peer_python()
    record: dict = {
        "what": "target tokens per CPU second, one thread; ratios are ours over JoeyNMT's",
        "machine": machine(),
        "settings": {**vars(arguments), "vocabulary": VOCABULARY, "batch": BATCH, "rate": RATE},
        "ratios": {},
        "measured": {},
    }
    ill = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batches.npz"
        write_batches(path, arguments.batches)
        for hidden in arguments.hidden:
            measure(record, path, hidden, theirs, arguments)
            losses = {name: record["measured"][f"{name}_{hidden}"]["losses"] for name in SIDES}
            ill += [f"hidden size {hidden}, {fault}" for fault in faults(losses)]
    print(f"written: {write('training', record)}")
    if ill:
        sys.exit("\n".join(ill))


def measure(
    record: dict, path: Path, hidden: int, theirs: str, arguments: argparse.Namespace
) -> None:
    """All models of a size, round after round."""
    common = ["--vocabulary", VOCABULARY, "--hidden", hidden, "--epochs", arguments.epochs]
    common += ["--rate", RATE]
    found: dict[str, list[dict]] = {name: [] for name in SIDES}
    for _ in range(arguments.rounds):
        for name, (script, extra, _) in SIDES.items():
            python = theirs if script.startswith("peers/") else sys.executable
            found[name].append(asked(python, HERE / script, path, *common, *extra))
    print(f"hidden size {hidden}, target tokens per CPU second")
    for name, (_, _, peer) in SIDES.items():
        table = described(name, hidden, found[name])
        told = ""
        if peer:
            table["ratio"] = ratio(medians(found[name]), medians(found[peer]))
            memory = ratio(*([one["grown_mib"] for one in found[side]] for side in (name, peer)))
            record["ratios"][f"{name}_{hidden}"] = table["ratio"]["median"]
            record["ratios"][f"{name}_{hidden}_memory"] = memory["median"]
            told = f"  {table['ratio']['median']:.2f} of {peer}, memory {memory['median']:.2f}"
        record["measured"][f"{name}_{hidden}"] = table
        losses = table["losses"]
        rate = table["tokens_per_cpu_second"]["median"]
        products = table["million_multiplications_a_token"]
        course = f"loss {losses[0]:.2f} to {losses[-1]:.2f}"
        print(f"  {name:14} {rate:8,.0f}  {products:6.2f} M products a token  {course}{told}")


def medians(records: list[dict]) -> list[float]:
    """Of each round the median epoch's rate."""
    return [float(np.median(rates(one))) for one in records]


def described(name: str, hidden: int, records: list[dict]) -> dict:
    """A side's figures."""
    model, fed = ("default" if name == "default" else "twin"), name in ("twin", "joeynmt")
    return {
        "tokens_per_cpu_second": spread(medians(records)),
        "losses": [round(epoch["loss"], 3) for epoch in records[0]["epochs"]],
        "parameters": records[0]["parameters"],
        "grown_mib": spread([one["grown_mib"] for one in records]),
        "million_multiplications_a_token": round(multiplications(model, hidden, fed) / 1e6, 2),
        "versions": records[0]["versions"],
    }


if __name__ == "__main__":
    main()
