r"""Whether a served model answers as the one that was trained, whoever is asked.

    .venv/bin/seq2seq data cmudict && .venv/bin/seq2seq run      # makes output/g2p
    .venv/bin/python benchmarks/serving_parity.py \\
        --model output/g2p/serving/seq2seq/VERSION --sources data/cmudict/pairs.tsv

The network is built anew from the export's record, its weights put in, and its answers
in this process are what all others are compared with: the SavedModel in a fresh process,
and in one without Python (`without_python.py`), the local server by REST and by gRPC, a
file of lines answered over Beam (of the fuzzed sources those that are one line), greedily
and by beam. Scores must agree to 1e-4; a string may differ only where its score ties with
the other's. Prints a table, writes benchmarks/results/serving_parity.json, and exits 1
where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq
from seq2seq_tfx.serving import model_check
from seq2seq_tfx.serving.client import Client
from seq2seq_tfx.serving.export_record import read_record, weight_paths
from seq2seq_tfx.serving.predictor import Predictor
from seq2seq_tfx.serving.tokenizer import Tokenizer

BATCH = 32
TOLERANCE = 1e-4
MAX_SOURCE_TOKENS = 256
# Letters of several scripts, marks, spaces, controls, bidirectional signs, pictures.
ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz'-.",
    "ABCXYZ 0123456789",
    "äöüßéñçøłž",
    "абвгджαβγδ",
    "漢字かなカナ한국어",
    "العربيةעברית",
    "\u0301\u0308\u200d\u200b\ufeff\u202e\u2066",
    " \t\n\r\u00a0\u3000\u2028",
    "\0\x01\x1b\x7f",
    "\U0001f642\U0001f469\u200d\U0001f4bb\U0001f1e9",
]

Answers = list[tuple[str, float]]


class Comparison(NamedTuple):
    """How far answers agree with those they are compared with."""

    same: int
    ties: int  # other strings of a score that is the same
    different: int
    largest: float  # difference of scores


def fuzzed_sources(count: int, seed: int) -> list[str]:
    """Texts as nobody would send them, and those that somebody does."""
    generator = random.Random(seed)
    texts = ["", " ", "\0", "a" * 300]
    while len(texts) < count:
        letters = "".join(generator.sample(ALPHABETS, generator.randint(1, 3)))
        texts.append("".join(generator.choices(letters, k=generator.randint(0, 40))))
    return texts[:count]


def compare(expected: Answers, found: Answers) -> Comparison:
    """Compares answers, row by row."""
    gaps = [abs(a[1] - b[1]) for a, b in zip(expected, found, strict=True)]
    agree = [gap <= TOLERANCE for gap in gaps]
    strings = [a[0] == b[0] for a, b in zip(expected, found, strict=True)]
    same = sum(s and a for s, a in zip(strings, agree, strict=True))
    ties = sum(a and not s for s, a in zip(strings, agree, strict=True))
    return Comparison(same, ties, len(gaps) - same - ties, max(gaps, default=0.0))


def in_process(predictor: Predictor, sources: Sequence[str]) -> Answers:
    """The answers of a network in this process."""
    answers: Answers = []
    for batch in batches(sources):
        outputs = predictor.best(tf.constant(batch))
        texts = [text.decode() for text in outputs[features.TEXT].numpy()]
        answers += zip(texts, outputs[features.SCORE].numpy().tolist(), strict=True)
    return answers


def in_fresh_process(directory: Path, sources: Sequence[str]) -> Answers:
    """The answers of a SavedModel in a process that knows TensorFlow alone."""
    done = subprocess.run(
        [sys.executable, "-I", model_check.__file__, str(directory)],
        input=json.dumps(batches(sources)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    best = [answer[features.SERVING_SIGNATURE] for answer in json.loads(done.stdout)["answers"]]
    rows = (zip(b[features.TEXT], b[features.SCORE], strict=True) for b in best)
    return [row for batch in rows for row in batch]


def from_server(server: str, sources: Sequence[str]) -> Answers:
    """The answers of a server, by the interface that its address names."""
    with Client(server, seconds=600) as client:
        return [(row[0].text, row[0].score) for row in client.predict(sources)]


def from_beam(directory: Path, sources: Sequence[str], folder: Path) -> Answers:
    """The answers to a file of lines over Beam; the sources are one line each."""
    from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
    from seq2seq_tfx.pipeline.predict_on_beam import predict_on_beam

    lines, answers = folder / "lines.txt", folder / "answers.jsonl"
    lines.write_bytes(b"".join(source.encode() + b"\n" for source in sources))
    predict_on_beam(directory, lines, answers, 1, list(BEAM_ARGS))
    rows = [json.loads(line)["hypotheses"][0] for line in answers.read_bytes().splitlines()]
    return [(row["text"], row["score"]) for row in rows]


def one_line(source: str) -> bool:
    """Whether a source can be a line of a file."""
    return "\n" not in source and not source.endswith("\r")


def batches(sources: Sequence[str]) -> list[list[str]]:
    """The sources, so many at a time as all that are asked for batches are asked."""
    return [list(sources[start : start + BATCH]) for start in range(0, len(sources), BATCH)]


def _predictor(directory: Path, search: SearchConfig) -> Predictor:
    record = read_record(str(directory))
    tokenizers = Tokenizer(record.source_model), Tokenizer(record.target_model)
    sizes = [tokenizer.vocabulary_size for tokenizer in tokenizers]
    model = build_seq2seq(ModelConfig(**record.settings), *sizes)
    for path, variable in zip(weight_paths(model.weights), model.weights, strict=True):
        variable.assign(record.weights[path])
    return Predictor(model, *tokenizers, search, MAX_SOURCE_TOKENS)


def main() -> None:
    """Compares, prints, writes."""
    from local_server import local_server
    from without_python import best_answers

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a pushed version")
    parser.add_argument("--sources", type=Path, required=True, help="pairs, or a source a line")
    parser.add_argument("--count", type=int, default=1000, help="real ones; and fuzzed ones")
    parser.add_argument("--beam", type=int, default=4)
    arguments = parser.parse_args()

    lines = arguments.sources.read_text("utf-8").splitlines()
    distinct = sorted({line.split("\t")[0] for line in lines})
    generator = random.Random(1)
    kinds = {
        "real": generator.sample(distinct, min(arguments.count, len(distinct))),
        "fuzzed": fuzzed_sources(arguments.count, seed=1),
    }
    results = []
    for beam in (1, arguments.beam):
        predictor = _predictor(arguments.model, SearchConfig(beam_size=beam, max_length=40))
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "1"
            predictor.export(str(directory))
            with local_server(directory) as server:
                for kind, sources in kinds.items():
                    expected = in_process(predictor, sources)
                    lines = [one_line(source) for source in sources]
                    found = {
                        "fresh process": (expected, in_fresh_process(directory, sources)),
                        "without Python": (
                            expected,
                            best_answers(directory, batches(sources), Path(folder)),
                        ),
                        "REST": (expected, from_server(server.rest, sources)),
                        "gRPC": (expected, from_server(server.grpc, sources)),
                        "Beam": (
                            list(compress(expected, lines)),
                            from_beam(directory, list(compress(sources, lines)), Path(folder)),
                        ),
                    }
                    for way, pair in found.items():
                        compared = compare(*pair)
                        row = {"beam": beam, "sources": kind, "way": way, **compared._asdict()}
                        results.append(row)
                        print(
                            "  ".join(f"{key}: {value}" for key, value in row.items()), flush=True
                        )
    path = Path(__file__).parent / "results" / "serving_parity.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(any(row["different"] for row in results))


if __name__ == "__main__":
    main()
