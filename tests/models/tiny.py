"""A tiny model of every kind, made once for all tests, with weights that are all random."""

import functools
import json

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import ModelConfig, Preset
from seq2seq_tfx.models.seq2seq import Seq2Seq

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"

# No two widths are equal, but for those that must be.
SIZE = {"embedding": 5, "units": 6, "attention": 4, "readout": 3, "heads": 2, "feed_forward": 7}
TWO = {"encoder_layers": 2, "decoder_layers": 2}
THREE = {"encoder_layers": 3, "decoder_layers": 3}
DEEP = {"sutskever2014": TWO, "luong2015": TWO, "gnmt2016": THREE, "transformer2017": TWO}

PRESETS = {name: {"preset": name, "size": DEEP.get(name, {})} for name in Preset.__args__}
ODD = {
    "additive-fed": {"attention": "additive", "readout": "attentional", "input_feeding": True}
    | {"output_bias": False, "forget_bias": 2.0, "recurrent_initializer": "orthogonal_gates"},
    "coverage-fed": {"attention": "additive", "coverage": True, "input_feeding": True},
    "pointer": {"attention": "additive", "coverage": True, "copy_head": True},
    "copy": {"copy_head": True, "cell": "gru"},
    "tied_output": {"tied_embeddings": "output"},
    "tied_all": {"tied_embeddings": "all", "readout": "attentional", "size": {"readout": 5}},
    "multi_head-fed": {"attention": "multi_head", "input_feeding": True, "readout": "maxout"},
    "asks_before-not_fed": {"attention_query": "previous", "size": TWO},
    "bottom-deep": {"attention_layer": "bottom", "residual_from": 2, "size": THREE},
    "dot-relu": {"attention": "dot", "bidirectional": "none", "cell": "rnn_relu"},
    "scaled_dot-tanh": {"attention": "scaled_dot", "bidirectional": "none", "cell": "rnn_tanh"},
    "fixed-concat": {"attention": "none", "input_feeding": True, "size": TWO},
    "fixed-attentional": {"attention": "none", "readout": "attentional", "initial_state": "zero"}
    | {"input_feeding": True},
    "fixed-maxout": {"attention": "none", "readout": "maxout"},
    "transformer-recurrent": {"encoder": "transformer", "attention": "multi_head"},
    "recurrent-transformer": {"decoder": "transformer", "readout": "state", "size": TWO},
    "pre_norm-pointer": {
        "preset": "transformer2017",
        "norm": "pre",
        "copy_head": True,
        "tied_embeddings": "none",
        "size": TWO,
    },
}
KINDS = {**PRESETS, **ODD}
QUICK = [*PRESETS, "pointer", "multi_head-fed", "pre_norm-pointer"]


def slow_but(kinds, quick):
    """Parameters of which all but the quick ones are marked slow."""
    return [pytest.param(kind, marks=[] if kind in quick else pytest.mark.slow) for kind in kinds]


every_kind = pytest.mark.parametrize("kind", slow_but(KINDS, QUICK))
FEW = ["default", "bahdanau2015", "transformer2017", "pre_norm-pointer"]
few_kinds = pytest.mark.parametrize("kind", slow_but(KINDS, FEW))  # a second each

SOURCES = np.array([[4, 5, 6, 7, 2], [8, 3, 2, 0, 0], [2, 0, 0, 0, 0], [5, 5, 4, 2, 0]], "int32")
TARGETS = np.array([[1, 4, 5, 10], [1, 6, 0, 0], [1, 9, 8, 0], [1, 0, 0, 0]], "int32")


def config_of(kind, **changes):
    settings = {"dropout": 0.3, **KINDS[kind], **changes}
    return ModelConfig(**{**settings, "size": {**SIZE, **settings.get("size", {})}})


def vocabularies(config):
    """How many tokens each side has: as many where the model wants it."""
    shared = config.copy_head or config.tied_embeddings == "all"
    return (11 if shared else 9), 11


def randomize(layer, seed=7, scale=1.2):
    """Gives every weight a random value: zero biases would hide much."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        normal = rng.normal(size=weight.shape)
        if weight.name == "gamma":
            weight.assign(1 + 0.3 * normal)
        elif weight.name == "embeddings":
            weight.assign(0.6 * normal)
        elif len(weight.shape) == 2:
            weight.assign(scale * normal / np.sqrt(weight.shape[0]))
        else:
            weight.assign(0.7 * normal)
    return layer


def new(config, source_vocabulary=None, target_vocabulary=None, sampling=None):
    """A model of its own, for a test that changes it or wants other vocabularies."""
    source, target = vocabularies(config)
    settings = config.model_dump()
    model = Seq2Seq(source_vocabulary or source, target_vocabulary or target, settings, sampling)
    ids = ops.ones((1, 2), dtype="int32")
    model({features.SOURCE_IDS: ids, features.TARGET_IDS: ids})
    return model


@functools.cache
def tiny(kind):
    """The model of a kind, which nobody changes."""
    return randomize(new(config_of(kind)))


def scored(model, sources, targets, training=False):
    """Logits and attention of a pass by teacher forcing."""
    encoded = model.encoder(sources, training=training)
    outputs = model.decoder(targets, encoded, training=training)
    return tuple(ops.convert_to_numpy(x) for x in outputs)


@functools.cache
def whole(kind):
    """`scored` of the sources and targets above."""
    return scored(tiny(kind), SOURCES, TARGETS)


def twin(layer):
    """Another of the same config, which has been through JSON."""
    made = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert made.get_config() == layer.get_config()
    return made
