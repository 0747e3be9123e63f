"""Gives readers of pairs what a coverage-guided fuzzer makes of good files (`make fuzz-readers`).

Atheris watches which branches of our readers a file reaches, and goes on from those that
reach new ones; the promise is that of `tests/components/readers/test_fuzz.py`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["seq2seq_tfx.components.readers"]):
    from tests.components.readers.test_fuzz import SEEDS, check

KINDS = sorted(SEEDS)


def main() -> None:
    """Runs for some seconds on files of one format; the fuzzer tells how many, and ends us."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=25)
    parser.add_argument("--kind", choices=KINDS, required=True)
    args = parser.parse_args()
    file_format, name = ("gettext", "a.mo") if args.kind == "mo" else (args.kind, "file")

    def one(data: bytes) -> None:
        check(data, file_format, name)

    if args.kind == "tfrecord":
        import tensorflow  # noqa: F401  the reader would, within the fuzzer's time

    # The fuzzer ends the process, so a folder for a while would stay for ever.
    corpus = Path(".cache", "fuzz", args.kind)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[args.kind]):
        (corpus / str(number)).write_bytes(seed)
    options = [f"-max_total_time={args.seconds}", "-max_len=4096", "-rss_limit_mb=4096"]
    options += ["-verbosity=0", "-print_final_stats=1", "-artifact_prefix=.cache/"]
    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
