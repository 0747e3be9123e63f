"""A small random model, exported once for all tests of this folder."""

from pathlib import Path
from typing import Any, NamedTuple

import keras
import pytest
import tensorflow as tf

from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import Seq2Seq, build_seq2seq
from seq2seq_tfx.serving.predictor import Predictor
from seq2seq_tfx.serving.tokenizer import Tokenizer


class Exported(NamedTuple):
    model: Seq2Seq
    predictor: Predictor  # in this process, as it was before the export
    directory: Path
    served: Any  # the SavedModel, loaded again
    search: SearchConfig
    max_source_tokens: int


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(5)
    side = SideConfig(kind="character")
    source = Tokenizer(
        train_tokenizer(iter(["the quick brown fox", "Über große 语言"]), side, False)
    )
    # No space among them: a character of an answer is a token of it.
    target = Tokenizer(train_tokenizer(iter(["abcde", "öß学"]), side, False))
    config = ModelConfig(size={"embedding": 8, "units": 10}, dropout=0.3)
    model = build_seq2seq(config, source.vocabulary_size, target.vocabulary_size)
    for weight in model.trainable_variables:  # far from uniform, so that answers differ
        weight.assign(weight * 4.0)
    search = SearchConfig(beam_size=3, length_penalty=0.7, max_length=8, max_length_ratio=0.5)
    predictor = Predictor(model, source, target, search, max_source_tokens=12)
    directory = tmp_path_factory.mktemp("export") / "1"
    predictor.export(str(directory))
    return Exported(model, predictor, directory, tf.saved_model.load(str(directory)), search, 12)
