"""Our export's beam search on given sources; `benchmarks/decoding.py` runs it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def export(arguments: argparse.Namespace) -> None:
    """Writes a SavedModel of the twin with random weights."""
    import keras
    from training_ours import model_config

    from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
    from seq2seq_tfx.models.search_options import SearchConfig
    from seq2seq_tfx.models.seq2seq import build_seq2seq
    from seq2seq_tfx.serving.predictor import Predictor
    from seq2seq_tfx.serving.tokenizer import Tokenizer

    # Before there are tokenizers: seeding takes TensorFlow's resources away.
    keras.utils.set_random_seed(1)
    words = (f"w{number}" for number in range(arguments.vocabulary))
    side = SideConfig(kind="word", vocabulary_size=arguments.vocabulary)
    model = train_tokenizer(words, side, False)
    source, target = Tokenizer(model), Tokenizer(model)
    network = build_seq2seq(
        model_config("twin", arguments.hidden, True),
        source.vocabulary_size,
        target.vocabulary_size,
    )
    search = SearchConfig(
        beam_size=arguments.beam,
        length_penalty=1.0,
        max_length=arguments.length,
        max_length_ratio=10.0,
    )
    Predictor(network, source, target, search, 100).export(arguments.model)


def main() -> None:
    """Decodes, and prints the CPU seconds of each pass over all sources."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sources")
    parser.add_argument("--model", required=True)
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--beam", type=int)
    parser.add_argument("--length", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--passes", type=int)
    arguments = parser.parse_args()
    if arguments.export:
        export(arguments)
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if not os.path.isdir(arguments.model):
        # Another process exports, so that this one has what a server has.
        subprocess.run([sys.executable, *sys.argv, "--export"], check=True, stdout=sys.stderr)
    import tensorflow_text  # noqa: F401

    decode = tf.saved_model.load(arguments.model).signatures["serving_default"]
    texts = [
        " ".join(f"w{number}" for number in row if number > 3)
        for row in np.load(arguments.sources).tolist()
    ]
    batches = [
        tf.constant(texts[first : first + arguments.batch])
        for first in range(0, len(texts), arguments.batch)
    ]
    decode(text=batches[0])
    seconds, lengths = [], []
    for _ in range(arguments.passes):
        began = time.process_time()
        answers = [decode(text=batch)["text"].numpy() for batch in batches]
        seconds.append(time.process_time() - began)
        lengths += [len(answer.split()) for batch in answers for answer in batch]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "sources": len(texts),
                "longest": max(lengths),
                "shortest": min(lengths),
                "versions": {"tensorflow": tf.__version__},
            }
        )
    )


if __name__ == "__main__":
    main()
