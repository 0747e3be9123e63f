"""How often the gate errs: simulated pairs of models of which the true loss is known.

    .venv/bin/python benchmarks/gate_power.py

Two kinds of sentence scores: a sentence is right or wrong (sequence_error_rate), and
errors over tokens, sentences differing in length (token_error_rate). A model that loses
exactly the margin, or more, must rarely be released; one that loses nothing, often.
Beside the gate stands what comparing the two figures alone would do. Then the time of
1,000 resamples of 10,000 sentences. Writes benchmarks/results/gate_power.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import sacrebleu

from seq2seq_tfx.components.bootstrap import figures, p_value, resample
from seq2seq_tfx.components.metrics import MEASURES, sizes

MARGIN = 0.02
LEVEL = 0.05
RESAMPLES = 1000
ERROR = 0.35  # of the baseline
DISAGREE = 0.15  # the least share of sentences of which exactly one model is right
LOSSES = {"none": 0.0, "half the margin": MARGIN / 2, "the margin": MARGIN, "twice": 2 * MARGIN}


def right_or_wrong(generator: np.random.Generator, size: int, loss: float) -> np.ndarray:
    """The differences [N, 2] of two models' errors, and ones."""
    worse = (DISAGREE + loss) / 2
    drawn = generator.random(size)
    difference = np.where(drawn < worse, 1.0, np.where(drawn < worse + worse - loss, -1.0, 0.0))
    return np.stack([difference, np.ones(size)], axis=1)


def errors_over_tokens(generator: np.random.Generator, size: int, loss: float) -> np.ndarray:
    """The differences [N, 2] of errors, and the lengths; the lengths are far from even."""
    lengths = 1 + generator.geometric(0.1, size)
    errors = [generator.binomial(lengths, ERROR + more) for more in (0.0, loss)]
    return np.stack([errors[1] - errors[0], lengths], axis=1).astype(float)


KINDS = {"sequence_error_rate": right_or_wrong, "token_error_rate": errors_over_tokens}


def released(kind: str, size: int, simulations: int, seed: int) -> dict[str, dict[str, float]]:
    """How often a model of each true loss is released, by the gate and by its figure alone."""
    counts = {name: np.zeros(2) for name in LOSSES}
    for i in range(simulations):
        generator = np.random.default_rng([seed, size, i])
        pairs = {name: KINDS[kind](generator, size, loss) for name, loss in LOSSES.items()}
        for name, sums in resample(pairs, RESAMPLES, seed + i).items():
            losses = sums[:, 0] / sums[:, 1]
            observed = pairs[name][:, 0].sum() / pairs[name][:, 1].sum()
            counts[name] += p_value(losses, MARGIN) <= LEVEL, observed <= MARGIN
    return {
        name: dict(zip(("gate", "figure_alone"), (found / simulations).tolist(), strict=True))
        for name, found in counts.items()
    }


def seconds(size: int, names: tuple[str, ...]) -> float:
    """The time of the gate's comparison of two models by each of some metrics."""
    generator = np.random.default_rng(0)
    columns = {
        (model, name): generator.integers(1, 30, (size, wide)).astype(float)
        for model in ("candidate", "baseline")
        for name, wide in sizes(names).items()
    }
    began = time.perf_counter()
    for (_, name), sums in resample(columns, RESAMPLES, 1).items():
        figures(sums, MEASURES[name].figure)
    return time.perf_counter() - began


def main() -> None:
    """Simulates, measures, prints a table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1000, 5000])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    rows = []
    for kind in KINDS:
        for size in arguments.sizes:
            found = released(kind, size, arguments.simulations, arguments.seed)
            rows.append({"metric": kind, "sentences": size, "released": found})
            shares = ", ".join(f"{name} {both['gate']:.3f}" for name, both in found.items())
            print(f"{kind}, {size} sentences, true loss: {shares}", flush=True)
    times = {name: seconds(10_000, (name,)) for name in ("sequence_error_rate", "bleu", "chrf")}
    print({name: f"{took:.2f} s" for name, took in times.items()})
    result = {
        "margin": MARGIN,
        "level": LEVEL,
        "resamples": RESAMPLES,
        "simulations": arguments.simulations,
        "seed": arguments.seed,
        "baseline_error": ERROR,
        "disagreement": DISAGREE,
        "rows": rows,
        "seconds_of_10000_sentences_two_models": times,
        "versions": {
            "numpy": np.__version__,
            "sacrebleu": sacrebleu.__version__,
            "python": platform.python_version(),
        },
        "cpus": os.cpu_count(),
    }
    path = Path(__file__).parent / "results" / "gate_power.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
