"""Loads a SavedModel as a server would and answers requests with it.

Run as a file of its own (`python model_check.py MODEL < requests.json`), it
imports tensorflow and tensorflow_text alone: that loading needs no more is part
of what it checks. Requests are lists of strings; the answers go to standard
output as JSON.
"""

import json
import sys
from typing import Any


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

    return {
        "signatures": sorted(model.signatures),
        "answers": [
            {signature: call(signature, text) for signature in ("serving_default", "nbest")}
            for text in requests
        ],
    }


def _plain(value: Any) -> Any:
    """Lists of anything, bytes as text."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    json.dump(answer(sys.argv[1], json.load(sys.stdin)), sys.stdout)
