"""Sentences per CPU second of beam search, beside JoeyNMT.

    make bench-decoding

Ours is an exported SavedModel, loaded as a server loads it: strings in, strings out,
tokenization included, no XLA. JoeyNMT's is its `search` on ids. Both have the model of
`joeynmt_twin.yaml`, hidden size 256, a vocabulary of 8,000, a beam of 5 and random
weights, under which no hypothesis ends by itself: both write answers of the full length
and neither is helped by when it stops. Processes of their own, in turn, on one thread.
Writes benchmarks/results/decoding.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from side_by_side import asked, machine, peer_python, ratio, spread, write

HERE = Path(__file__).parent
VOCABULARY, EOS, SPECIAL = 8000, 2, 4


def write_sources(path: Path, count: int) -> None:
    """Random sources of 15 to 25 tokens."""
    rng = np.random.default_rng(7)
    ids = np.zeros((count, 26), "int64")
    for row in ids:
        length = rng.integers(15, 26)
        row[:length], row[length] = rng.integers(SPECIAL, VOCABULARY, length), EOS
    np.save(path, ids)


def main() -> None:
    """Measures, prints a table, writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 32])
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--length", type=int, default=25)
    parser.add_argument("--sources", type=int, default=32)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    theirs = peer_python()
    record: dict = {
        "what": "sentences per CPU second, one thread; ratios are ours over JoeyNMT's",
        "machine": machine(),
        "settings": {**vars(arguments), "vocabulary": VOCABULARY},
        "ratios": {},
        "measured": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "sources.npy"
        write_sources(sources, arguments.sources)
        common = [sources, "--vocabulary", VOCABULARY, "--hidden", arguments.hidden]
        common += ["--beam", arguments.beam, "--length", arguments.length]
        common += ["--passes", arguments.passes]
        ours = [HERE / "decoding_ours.py", *common, "--model", Path(folder) / "model"]
        for batch in arguments.batches:
            found: dict[str, list[dict]] = {"ours": [], "joeynmt": []}
            for _ in range(arguments.rounds):
                found["ours"].append(asked(sys.executable, *ours, "--batch", batch))
                script = HERE / "peers" / "joeynmt_decoding.py"
                found["joeynmt"].append(asked(theirs, script, *common, "--batch", batch))
            rates = {
                name: [one["sources"] / float(np.median(one["seconds"])) for one in records]
                for name, records in found.items()
            }
            found_ratio = ratio(rates["ours"], rates["joeynmt"])
            record["ratios"][f"batch_{batch}"] = found_ratio["median"]
            record["measured"][f"batch_{batch}"] = {
                "ratio": found_ratio,
                **{
                    name: {
                        "sentences_per_cpu_second": spread(rates[name]),
                        "answer_lengths": [records[0]["shortest"], records[0]["longest"]],
                        "versions": records[0]["versions"],
                    }
                    for name, records in found.items()
                },
            }
            print(
                f"batch {batch:2}: ours {spread(rates['ours'])['median']:.2f}, JoeyNMT "
                f"{spread(rates['joeynmt'])['median']:.2f} sentences per CPU second: "
                f"{found_ratio['median']:.2f} times"
            )
    print(f"written: {write('decoding', record)}")


if __name__ == "__main__":
    main()
