"""Our training until a mark or its minutes are over; run by `benchmarks/quality.py`.

The pipeline's tokenizer, batches, optimizer and `model.fit`, an epoch at a time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import sacrebleu
import tensorflow as tf
from training_ours import model_config

from seq2seq_tfx.components.optimizers import optimizer_of
from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer, vocabulary
from seq2seq_tfx.components.trainer import TrainingConfig
from seq2seq_tfx.components.training_data import batches, survey
from seq2seq_tfx.models import features
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq
from seq2seq_tfx.serving.predictor import Predictor
from seq2seq_tfx.serving.tokenizer import Tokenizer, source_ids, target_ids

BATCH = 64  # of answers
PIECES, VOCABULARY = "pieces.model", "pieces.txt"


def write_examples(path: Path, tokenizer: Tokenizer, sources: list[str], targets: list[str]):
    """Token ids as Transform writes them."""
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for start in range(0, len(sources), 1000):
            ids = [
                make(tokenizer, tf.constant(some[start : start + 1000])).to_list()
                for make, some in ((source_ids, sources), (target_ids, targets))
            ]
            for source, target in zip(*ids, strict=True):
                example = tf.train.Example()
                for name, values in (("source_ids", source), ("target_ids", target)):
                    example.features.feature[name].int64_list.value.extend(values)
                writer.write(example.SerializeToString())


def answers_of(predictor: Predictor, sources: list[str]) -> list[str]:
    """The best answer to each."""
    answers: list[str] = []
    for start in range(0, len(sources), BATCH):
        found = predictor.best(tf.constant(sources[start : start + BATCH]))[features.TEXT].numpy()
        answers += [answer.decode("utf-8", "replace") for answer in found]
    return answers


def main() -> None:
    """Prints the course of validation BLEU as JSON, and the last answers if they are asked for."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    batch, longest = settings["batch"], settings["longest"]
    keras.utils.set_random_seed(1)  # which takes what tokenizers hold away: before they are made
    text = {
        (split, side): (folder / f"{split}.{side}").read_text("utf-8").splitlines()
        for split in ("train", "val")
        for side in ("source", "target")
    }
    both = (line for side in ("source", "target") for line in text["train", side])
    pieces = train_tokenizer(
        both, SideConfig(kind="bpe", vocabulary_size=settings["vocabulary"]), False
    )
    (folder / PIECES).write_bytes(pieces)
    words = vocabulary(pieces)[len(features.SPECIAL_TOKENS) :]
    (folder / VOCABULARY).write_text("".join(f"{piece}\n" for piece in words), "utf-8")
    tokenizer = Tokenizer(pieces)
    files = [str(folder / "train.tfrecord")]
    write_examples(Path(files[0]), tokenizer, text["train", "source"], text["train", "target"])

    config = model_config("twin", settings["hidden"], True)
    config = config.model_copy(update={"dropout": settings["dropout"]})
    model = build_seq2seq(config, tokenizer.vocabulary_size, tokenizer.vocabulary_size)
    training = TrainingConfig(learning_rate=settings["rate"], schedule="constant", clip_norm=1.0)
    corpus = survey(files, batch, longest)
    model.compile(
        optimizer_of(training, corpus.batches),
        TokenCrossEntropy(settings["smoothing"]),
        metrics=[TokenAccuracy()],
        jit_compile=False,
    )
    predictor = Predictor(model, tokenizer, tokenizer, SearchConfig(beam_size=1), longest)
    known = tf.data.experimental.assert_cardinality(corpus.batches)
    began, course, epoch = time.monotonic(), [], 0
    while (time.monotonic() - began) / 60 < settings["minutes"]:
        data = batches(files, batch, longest, seed=1, epoch=epoch).apply(known)
        loss = model.fit(data, verbose=0).history["loss"][0]
        answers = answers_of(predictor, text["val", "source"])
        bleu = sacrebleu.corpus_bleu(answers, [text["val", "target"]]).score
        epoch += 1
        course.append(
            {
                "minutes": (time.monotonic() - began) / 60,
                "bleu": round(bleu, 2),
                "loss": round(float(loss), 3),
            }
        )
        print(f"  epoch {epoch}: {course[-1]}", file=sys.stderr, flush=True)
        if bleu >= max(one["bleu"] for one in course):
            best = model.get_weights()
        if bleu >= settings["mark"]:
            break
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    told = {"course": course, "parameters": model.count_params(), "versions": versions}
    if "beam" in settings:
        model.set_weights(best)
        search = SearchConfig(beam_size=settings["beam"], length_penalty=settings["length_penalty"])
        last = Predictor(model, tokenizer, tokenizer, search, longest)
        told["answers"] = answers_of(last, (folder / "test.source").read_text("utf-8").splitlines())
    print(json.dumps(told))


if __name__ == "__main__":
    main()
