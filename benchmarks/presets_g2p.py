"""Word error rates of presets on the g2p job after equal CPU time of training.

    .venv/bin/seq2seq data cmudict && .venv/bin/seq2seq run      # makes output/g2p
    .venv/bin/python benchmarks/presets_g2p.py --seconds 300

Each preset, in a size of about the same arithmetic, trains for so many CPU seconds
(all threads together), over which its learning rate falls to zero. The validation
split is not used; the test split is decoded once, by the pipeline's own search.
Writes benchmarks/results/presets_g2p.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from functools import reduce
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from seq2seq_tfx.components.preprocessing import read_tokenizers
from seq2seq_tfx.components.training_data import batches
from seq2seq_tfx.models import features
from seq2seq_tfx.models.losses import TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq
from seq2seq_tfx.serving.predictor import Predictor

SMALL = {"embedding": 64, "units": 128, "attention": 128, "readout": 128}
PRESETS = {
    "default": {"size": SMALL},
    "bahdanau2015": {"size": SMALL},
    "luong2015": {"size": {**SMALL, "encoder_layers": 2, "decoder_layers": 2}},
    # Letters and phonemes have a vocabulary each, so only the output is tied.
    "transformer2017": {
        "size": {
            "units": 128,
            "encoder_layers": 3,
            "decoder_layers": 3,
            "heads": 4,
            "feed_forward": 512,
        },
        "tied_embeddings": "output",
    },
}
RATES = {"transformer2017": 0.001}
BATCH, MAX_TOKENS = 128, 100
WARM = 0.05  # the share of training over which the learning rate rises


def newest(pattern: str, root: Path) -> str:
    """The newest artifact of a component's output."""
    return str(max(root.glob(pattern), key=lambda path: int(path.name)))


def training_set(root: Path, seed: int) -> tf.data.Dataset:
    """Batches of the train split for far more epochs than there is time for."""
    folder = Path(newest("Transform/transformed_examples/*", root)) / "Split-train"
    files = sorted(map(str, folder.iterdir()))
    epochs = (batches(files, BATCH, MAX_TOKENS, seed, epoch) for epoch in range(100))
    return reduce(tf.data.Dataset.concatenate, epochs)


def test_set(root: Path) -> list[tuple[bytes, set[bytes]]]:
    """Words and their accepted pronunciations."""
    folder = Path(newest("PairExampleGen/examples/*", root)) / "Split-test"
    rows = []
    for record in tf.data.TFRecordDataset(sorted(map(str, folder.iterdir())), "GZIP"):
        example = tf.train.Example.FromString(record.numpy()).features.feature
        source = example[features.SOURCE].bytes_list.value[0]
        rows.append((source, set(example[features.REFERENCES].bytes_list.value)))
    return rows


class Budget(keras.callbacks.Callback):
    """Stops after so many CPU seconds; the learning rate follows their share that is spent.

    It rises over the first twentieth and then falls to zero as a cosine does. The
    clock starts after the first batch, in which the graph is traced.
    """

    def __init__(self, seconds: float, rate: float) -> None:
        super().__init__()
        self._seconds, self._rate = seconds, rate
        self.steps = 0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Counts the step, and sets the next one's rate."""
        if self.steps == 0:
            self._start, self._wall = time.process_time(), time.monotonic()
        self.steps += 1
        self.spent = time.process_time() - self._start
        self.wall = time.monotonic() - self._wall
        share = self.spent / self._seconds
        cosine = 0.5 * (1 + math.cos(math.pi * (share - WARM) / (1 - WARM)))
        self.model.optimizer.learning_rate = self._rate * min(share / WARM, cosine)
        self.model.stop_training = share >= 1


def train(model: keras.Model, data: tf.data.Dataset, seconds: float, rate: float) -> dict:
    """Fits for so many CPU seconds."""
    model.compile(
        keras.optimizers.Adam(0.0, global_clipnorm=1.0), TokenCrossEntropy(0.1), jit_compile=False
    )
    budget = Budget(seconds, rate)
    history = model.fit(data, verbose=0, callbacks=[budget])
    return {
        "steps": budget.steps,
        "cpu_seconds": round(budget.spent, 1),
        "wall_seconds": round(budget.wall, 1),
        "train_loss": round(history.history["loss"][-1], 4),
    }


def word_error_rate(predictor: Predictor, rows: list[tuple[bytes, set[bytes]]]) -> float:
    """The share of words with no accepted pronunciation found."""
    wrong = 0
    for start in range(0, len(rows), 512):
        part = rows[start : start + 512]
        answers = predictor.best(tf.constant([word for word, _ in part]))[features.TEXT].numpy()
        wrong += sum(
            answer not in accepted for answer, (_, accepted) in zip(answers, part, strict=True)
        )
    return wrong / len(rows)


def main() -> None:
    """Trains and measures each preset in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("output/g2p"), help="of the g2p run")
    parser.add_argument("--seconds", type=float, default=300.0, help="CPU seconds of training")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    root = arguments.output / "artifacts"
    tokenizer_folder = newest("TokenizerTrainer/tokenizer/*", root)
    test = test_set(root)
    results: dict = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "test_words": len(test),
        "seed": arguments.seed,
        "presets": {},
    }
    for name in arguments.presets:
        keras.utils.set_random_seed(arguments.seed)
        source, target = read_tokenizers(tokenizer_folder)
        config = ModelConfig(preset=name, dropout=0.1, **PRESETS[name])
        model = build_seq2seq(config, source.vocabulary_size, target.vocabulary_size)
        data = training_set(root, arguments.seed)
        found = train(model, data, arguments.seconds, RATES.get(name, 0.003))
        search = SearchConfig(beam_size=4, max_length=40)
        error = word_error_rate(Predictor(model, source, target, search, 256), test)
        found = {"parameters": model.count_params(), **found, "word_error_rate": round(error, 4)}
        results["presets"][name] = found
        print(name, json.dumps(found), flush=True)
    path = Path(__file__).parent / "results" / "presets_g2p.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
