"""What Transform runs on each batch: text to token ids.

Alone in its file, for TFX reloads the module of such a function: the classes of a component
beside it would be others after the first run of a process.
"""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from tfx.dsl.io import fileio

from ..models import features
from ..serving.tokenizer import Tokenizer, load_tokenizers, source_ids, target_ids

TOKENIZER = "tokenizer"


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Turns `source` and `target` [N, 1] into ids, sparse int64 [N, (tokens)].

    And the text of a weight, where pairs have one, into a number, float32 [N].

    Args:
      inputs: the raw features.
      custom_config: where the tokenizer lies, under `TOKENIZER`, and under
        `features.WEIGHT`, if it is there, the name of the feature that weighs pairs.
    """
    source_tokenizer, target_tokenizer = read_tokenizers(custom_config[TOKENIZER])
    source = tf.reshape(inputs[features.SOURCE], [-1])
    target = tf.reshape(inputs[features.TARGET], [-1])
    made = {
        features.SOURCE_IDS: source_ids(source_tokenizer, source).to_sparse(),
        features.TARGET_IDS: target_ids(target_tokenizer, target).to_sparse(),
    }
    if weight := custom_config.get(features.WEIGHT):
        made[features.WEIGHT] = tf.strings.to_number(tf.reshape(inputs[weight], [-1]), tf.float32)
    return made


def read_tokenizers(folder: str) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of source and target in a `TokenizerModel` artifact."""

    def read(name: str) -> bytes:
        with fileio.open(os.path.join(folder, name), "rb") as file:
            return file.read()

    return load_tokenizers(read)
