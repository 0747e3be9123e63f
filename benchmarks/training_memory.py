"""Memory that a training's data takes, of so many pairs and of ten times as many.

    make bench-training-memory

A split is counted, digested and read for one epoch, as Trainer does before and while it trains, in
a process of its own for each size: what it has grown at its peak since its imports. Pairs
are synthetic, of 15 to 25 tokens; the larger corpus is the smaller one's files, each ten
times. Writes benchmarks/results/training_memory.json, and ends with 1 where ten times the
pairs take over a tenth more.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from side_by_side import asked, machine, spread, write

FILES, TIMES, MOST = 20, 10, 1.1
BATCH, SHORTEST, LONGEST, VOCABULARY = 64, 15, 25, 8000
BOS, EOS, SPECIAL = 1, 2, 4


def write_files(folder: Path, pairs: int) -> None:
    """Gzipped TFRecords as Transform writes them."""
    import tensorflow as tf

    rng = np.random.default_rng(7)
    for number in range(FILES):
        with tf.io.TFRecordWriter(str(folder / f"part-{number:02}.gz"), "GZIP") as writer:
            for _ in range(pairs // FILES):
                example = tf.train.Example()
                for name, begin in (("source_ids", []), ("target_ids", [BOS])):
                    words = rng.integers(SPECIAL, VOCABULARY, rng.integers(SHORTEST, LONGEST + 1))
                    ids = [*begin, *words.tolist(), EOS]
                    example.features.feature[name].int64_list.value.extend(ids)
                writer.write(example.SerializeToString())


def read(folder: Path, times: int) -> None:
    """Counts the files and reads them for an epoch; prints what that took."""
    from seq2seq_tfx.components.training_data import batches, digest, survey

    files = [str(path) for path in sorted(folder.iterdir())] * times
    imported = _peak()
    corpus = survey(files, BATCH, LONGEST + 2)
    digest(files)
    read = sum(1 for _ in batches(files, BATCH, LONGEST + 2, seed=1))
    told = {"pairs": corpus.examples, "batches": read, "grown_mib": _peak() - imported}
    print(json.dumps(told))


def _peak() -> float:
    # Not `ru_maxrss`, which is what the process before this one had, if that is more.
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def main() -> None:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pairs", type=int, default=400_000, help="four times what the shuffle holds"
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--read", nargs=2, metavar=("FOLDER", "TIMES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read(Path(arguments.read[0]), int(arguments.read[1]))
        return
    found: dict[int, list[dict]] = {1: [], TIMES: []}
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), arguments.pairs)
        for _ in range(arguments.rounds):
            for times, records in found.items():
                records.append(asked(sys.executable, Path(__file__), "--read", folder, times))
    grown = {times: [one["grown_mib"] for one in records] for times, records in found.items()}
    sizes = {times: records[0]["pairs"] for times, records in found.items()}
    of_rounds = spread([more / few for few, more in zip(grown[1], grown[TIMES], strict=True)])
    for times, pairs in sizes.items():
        print(f"{pairs:>12,} pairs  {spread(grown[times])['median']:8.1f} MiB")
    record = {
        "what": "peak growth above imports in MiB of counting, digesting and one epoch",
        "machine": machine(),
        "ratios": {"ten_times_the_pairs": of_rounds["median"]},
        "measured": {str(sizes[times]): spread(grown[times]) for times in found},
        "spread": of_rounds,
    }
    print(f"{of_rounds['median']:.3f}, written: {write('training_memory', record)}")
    if of_rounds["median"] > MOST:
        sys.exit(f"expected at most {MOST} times the memory, found {of_rounds['median']}")


if __name__ == "__main__":
    main()
