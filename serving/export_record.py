"""What lies beside an exported graph, so that training can go on from it.

TensorFlow Serving does not look into `assets.extra`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import tensorflow as tf

from .tokenizer import SOURCE_MODEL, TARGET_MODEL

FOLDER = "assets.extra/seq2seq_tfx"
RECORD = "model.json"


class ExportRecord(NamedTuple):
    """An exported model's settings and weights."""

    settings: dict[str, Any]  # of `Seq2Seq`
    source_model: bytes  # SentencePiece's
    target_model: bytes
    weights: dict[str, Any]  # NumPy arrays by `weight_paths`


def weight_paths(variables: Iterable[Any]) -> list[str]:
    """The place of each variable of a model, whatever the model is called."""
    return _each_its_own(variable.path.partition("/")[2] for variable in variables)


def _each_its_own(paths: Iterable[str]) -> list[str]:
    """Paths with a number where one was there before.

    Keras names a weight by the layers that were called on the way to it: what a decoder's step
    or a Transformer's attention reaches past a layer has a path without that layer's name.
    """
    counts: Counter[str] = Counter()
    found = []
    for path in paths:
        counts[path] += 1
        found.append(path if counts[path] == 1 else f"{path} {counts[path]}")
    return found


def write_record(
    directory: str,
    settings: dict[str, Any],
    weights: Sequence[str],
    tokenizers: tuple[bytes, bytes],
) -> None:
    """Writes beside a SavedModel what its graph does not tell.

    Args:
      directory: of the SavedModel.
      settings: of `Seq2Seq`.
      weights: the paths of the weights, in the order that the export tracks them.
      tokenizers: the SentencePiece models of source and target.
    """
    folder = PurePath(directory) / FOLDER
    tf.io.gfile.makedirs(str(folder))
    record = json.dumps({"settings": settings, "weights": list(weights)}, indent=1)
    files = zip((RECORD, SOURCE_MODEL, TARGET_MODEL), (record.encode(), *tokenizers), strict=True)
    for name, content in files:
        with tf.io.gfile.GFile(str(folder / name), "wb") as file:
            file.write(content)


def read_record(directory: str) -> ExportRecord:
    """Reads an exported model without running anything of it.

    Args:
      directory: of the SavedModel.

    Raises:
      ValueError: it is not an export of this project, or a file of it is damaged.
    """
    folder = PurePath(directory) / FOLDER

    def read(name: str) -> bytes:
        with tf.io.gfile.GFile(str(folder / name), "rb") as file:
            return file.read()

    try:
        record = json.loads(read(RECORD))
        reader = tf.train.load_checkpoint(str(PurePath(directory) / "variables" / "variables"))
        weights = {
            path: reader.get_tensor(f"weights/{i}/.ATTRIBUTES/VARIABLE_VALUE")
            for i, path in enumerate(_each_its_own(record["weights"]))
        }
        return ExportRecord(record["settings"], read(SOURCE_MODEL), read(TARGET_MODEL), weights)
    except (tf.errors.OpError, OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected an export of seq2seq-tfx with {FOLDER} at {directory}: {error}"
        ) from error
