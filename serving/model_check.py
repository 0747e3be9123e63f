"""Loads a SavedModel as a server would and answers requests with it.

Run as a file of its own (`python model_check.py MODEL < requests.json`), it
imports tensorflow and tensorflow_text alone: that loading needs no more is part
of what it checks. Requests are lists of strings; the answers go to standard
output as JSON.
"""

import json
import statistics
import sys
import time
from typing import Any

ROUNDS = 5  # times that each source is asked alone
SECONDS = 10.0  # after which no further round begins


def answer(model_dir: str, requests: list[list[str]]) -> dict:
    """Answers each request with both signatures that take text.

    Args:
      model_dir: of the SavedModel.
      requests: batches of sources; an empty one is a request of no rows.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers the ops that the graph holds

    model = tf.saved_model.load(model_dir)

    def call(signature: str, text: list[str]) -> dict:
        outputs = model.signatures[signature](tf.constant(text, tf.string, shape=[len(text)]))
        return {name: _plain(value.numpy().tolist()) for name, value in outputs.items()}

    answered = {
        "signatures": sorted(model.signatures),
        "answers": [
            {signature: call(signature, text) for signature in ("serving_default", "nbest")}
            for text in requests
        ],
    }
    texts = [tf.constant([text]) for text in requests[0]] if requests else []
    return {**answered, "milliseconds": _time(model.signatures["serving_default"], texts)}


def _time(signature: Any, texts: list) -> list[float]:
    """How long one sentence takes, of each the median of a few rounds, in milliseconds.

    The model has answered before, so nothing is traced or read for the first time. What
    else the machine does is in it: the rounds are apart, so that a busy moment is seen by
    one measurement of a sentence and not by all of them.
    """
    times: list[list[float]] = [[] for _ in texts]
    start = time.perf_counter()
    for _ in range(ROUNDS):
        for text, taken in zip(texts, times, strict=True):
            asked = time.perf_counter()
            for value in signature(text).values():
                value.numpy()
            taken.append(1000 * (time.perf_counter() - asked))
        if time.perf_counter() - start > SECONDS:
            break
    return [statistics.median(taken) for taken in times]


def _plain(value: Any) -> Any:
    """Lists of anything, bytes as text."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    json.dump(answer(sys.argv[1], json.load(sys.stdin)), sys.stdout)
