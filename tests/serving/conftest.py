"""Small random models: one exported once for all tests of this folder, others as they are."""

import os
import shutil
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.seq2seq import Seq2Seq, build_seq2seq
from seq2seq_tfx.serving.predictor import Predictor
from seq2seq_tfx.serving.tokenizer import Tokenizer

from .model_server import BINARY, ModelServer
from .running import Address, Running

LIMIT = 12  # tokens of a source that are read
TINY = {"embedding": 8, "units": 10, "encoder_layers": 2, "decoder_layers": 2}


class Exported(NamedTuple):
    model: Seq2Seq
    predictor: Predictor  # in this process, as it was before the export
    directory: Path
    served: Any  # the SavedModel, loaded again
    search: SearchConfig
    max_source_tokens: int


def scatter(network, more_unknown=0.0):
    """Weights far from uniform, so that answers differ; of each by its name, so that they stay."""
    for weight in network.weights:
        name = weight.path.partition("/")[2]
        values = np.random.default_rng(zlib.crc32(name.encode())).normal(size=weight.shape)
        if name.endswith("output/bias"):  # or few answers would end, and few would have UNK
            values[[features.EOS, features.UNK]] += 3.0, 0.7 + more_unknown
        weight.assign(values)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    side = SideConfig(kind="character")
    source = Tokenizer(
        train_tokenizer(iter(["the quick brown fox", "Über große 语言"]), side, False)
    )
    # No space among them: a character of an answer is a token of it.
    target = Tokenizer(train_tokenizer(iter(["abcde", "öß学"]), side, False))
    config = ModelConfig(size={"embedding": 8, "units": 10}, dropout=0.3)
    model = build_seq2seq(config, source.vocabulary_size, target.vocabulary_size)
    scatter(model)
    search = SearchConfig(beam_size=3, length_penalty=0.7, max_length=8, max_length_ratio=0.5)
    predictor = Predictor(model, source, target, search, max_source_tokens=LIMIT)
    directory = tmp_path_factory.mktemp("export") / "1"
    predictor.export(str(directory))
    return Exported(model, predictor, directory, tf.saved_model.load(str(directory)), search, LIMIT)


@pytest.fixture(scope="session")
def new_predictor(request):
    """Makes a predictor of another network; what is not given is as `exported` has it."""

    def new(model, search=None, tokenizers=None, more_unknown=0.0):
        if not (search and tokenizers):
            exported = request.getfixturevalue("exported")
            search = search or exported.search
            tokenizers = tokenizers or (
                exported.predictor.source_tokenizer,
                exported.predictor.target_tokenizer,
            )
        sizes = [tokenizer.vocabulary_size for tokenizer in tokenizers]
        network = build_seq2seq(ModelConfig(**{"size": TINY, **model}), *sizes)
        scatter(network, more_unknown)
        return Predictor(network, *tokenizers, search, LIMIT)

    return new


@pytest.fixture(scope="session")
def plain(new_predictor):
    """Without attention."""
    return new_predictor({"preset": "sutskever2014"})


@pytest.fixture(scope="session")
def running(exported):
    """The local server with that model."""
    with Running(exported.directory) as server:
        yield server


@pytest.fixture(scope="session")
def contract_address(request):
    """Where the contract is tried: see `test_contract`."""
    places = [os.environ.get(f"SEQ2SEQ_CONTRACT_{kind}") for kind in ("GRPC", "REST")]
    if all(places):
        yield Address(*places, os.environ.get("SEQ2SEQ_CONTRACT_NAME", "seq2seq"))
    elif BINARY:
        (base := request.getfixturevalue("tmp_path_factory").mktemp("pushed") / "seq2seq").mkdir()
        shutil.copytree(request.getfixturevalue("exported").directory, base / "1")
        with ModelServer.of(BINARY, base) as server:
            yield server.address
    else:
        yield request.getfixturevalue("running").address
