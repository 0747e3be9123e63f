"""What lies beside an exported graph, so that training can go on from it.

TensorFlow Serving does not look into `assets.extra`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    weights: dict[str, Any]  # NumPy arrays by the path of their variable


def weight_path(variable: Any) -> str:
    """The place of a variable in its model, whatever the model is called."""
    return variable.path.partition("/")[2]


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
            for i, path in enumerate(record["weights"])
        }
        return ExportRecord(record["settings"], read(SOURCE_MODEL), read(TARGET_MODEL), weights)
    except (tf.errors.OpError, OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected an export of seq2seq-tfx with {FOLDER} at {directory}: {error}"
        ) from error
