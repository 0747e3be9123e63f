"""Both encoders against their equations, source by source without padding."""

import functools

import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.embeddings import TokenEmbedding
from seq2seq_tfx.models.encoders import RecurrentEncoder
from seq2seq_tfx.models.transformer import TransformerEncoder

from . import equations
from .equations import real
from .tiny import SOURCES, randomize, twin

VOCABULARY, EMBEDDING, UNITS = 9, 5, 6
RECURRENT = {
    "one": {},
    "deep": {"layers": 2},
    "one_way-deep": {"layers": 2, "bidirectional": "none"},
    "first-deep": {"layers": 3, "bidirectional": "first", "cell": "gru"},
    "first-one": {"bidirectional": "first"},
    "residual": {"layers": 3, "residual_from": 2},
    "first-residual": {"layers": 3, "bidirectional": "first", "residual_from": 3},
    "reversed": {"reverse_source": True, "bidirectional": "none"},
    "reversed-deep": {"reverse_source": True, "layers": 2, "residual_from": 2},
}
TRANSFORMER = {"post_norm": {"norm": "post"}, "pre_norm": {"norm": "pre"}}

every_recurrent = pytest.mark.parametrize("kind", RECURRENT)
every_transformer = pytest.mark.parametrize("kind", TRANSFORMER)
every_kind = pytest.mark.parametrize("kind", [*RECURRENT, *TRANSFORMER])


def unbuilt(kind, **changes):
    if kind in TRANSFORMER:
        return TransformerEncoder(VOCABULARY, UNITS, 2, 2, 7, **TRANSFORMER[kind], **changes)
    return RecurrentEncoder(VOCABULARY, EMBEDDING, UNITS, **RECURRENT[kind], **changes)


@functools.cache
def make(kind):
    encoder = unbuilt(kind, dropout=0.4)
    encoder(SOURCES)
    return randomize(encoder)


@functools.cache
def encoded(kind):
    """The sources with two columns more of padding than they need."""
    return make(kind)(np.pad(SOURCES, [(0, 0), (0, 2)]))


@every_recurrent
def test_memory_summary_and_states_are_those_of_the_equations_whatever_the_padding(kind):
    encoder, found = make(kind), encoded(kind)
    assert len(found.states) == len(encoder.forward)
    for row, ids in enumerate(map(real, SOURCES)):
        memory, summary, states = equations.recurrent_encoder(encoder, ids)
        np.testing.assert_allclose(found.memory_BSM[row][: len(ids)], memory, atol=1e-5)
        np.testing.assert_allclose(found.summary_BM[row], summary, atol=1e-5)
        for layer, expected in zip(found.states, states, strict=True):
            for state, value in zip(layer, expected, strict=True):
                np.testing.assert_allclose(state[row], value, atol=1e-5)


@every_transformer
def test_memory_and_its_mean_are_those_of_the_equations_whatever_the_padding(kind):
    found = encoded(kind)
    for row, ids in enumerate(map(real, SOURCES)):
        memory = equations.transformer_encoder(make(kind), ids)
        np.testing.assert_allclose(found.memory_BSM[row][: len(ids)], memory, atol=2e-5)
        np.testing.assert_allclose(found.summary_BM[row], memory.mean(axis=0), atol=2e-5)
    assert found.states == []


@every_kind
def test_ids_and_mask_are_those_of_the_source(kind):
    found, ids = encoded(kind), np.pad(SOURCES, [(0, 0), (0, 2)])
    np.testing.assert_array_equal(found.ids_BS, ids)
    np.testing.assert_array_equal(found.mask_BS, ids != features.PAD)


def test_a_reversed_source_is_read_last_word_first_and_remembered_in_its_order():
    reversing, plain = make("reversed"), unbuilt("reversed")
    plain.reverse_source = False
    plain(SOURCES)
    plain.set_weights(reversing.get_weights())
    turned = [[*ids[:-1][::-1], ids[-1]] for ids in map(real, SOURCES)]
    turned = np.array([ids + [features.PAD] * (5 - len(ids)) for ids in turned], "int32")
    assert turned[0].tolist() == [7, 6, 5, 4, 2]
    found, expected = reversing(SOURCES), plain(turned)
    np.testing.assert_allclose(found.summary_BM, expected.summary_BM, atol=1e-6)
    for row, ids in enumerate(map(real, SOURCES)):
        memory = ops.convert_to_numpy(expected.memory_BSM[row])
        words = len(ids) - 1  # EOS stays where it is
        np.testing.assert_allclose(
            found.memory_BSM[row][: len(ids)], [*memory[:words][::-1], memory[words]], atol=1e-6
        )


@pytest.mark.parametrize(
    ("bidirectional", "layers", "width"),
    [
        *[("none", 1, 6), ("none", 2, 6), ("first", 1, 12)],
        *[("first", 2, 6), ("all", 1, 12), ("all", 2, 12)],
    ],
)
def test_the_memory_is_as_wide_as_the_last_layer_has_directions(bidirectional, layers, width):
    encoder = RecurrentEncoder(VOCABULARY, EMBEDDING, UNITS, layers, bidirectional)
    found = encoder(SOURCES[:1])
    assert found.memory_BSM.shape == (1, 5, width)
    assert found.summary_BM.shape == (1, width)
    assert len(encoder.forward) == layers
    assert len(encoder.backward) == {"none": 0, "first": 1, "all": layers}[bidirectional]


@pytest.mark.parametrize("kind", ["first-residual", "post_norm", "pre_norm"])
def test_dropout_falls_in_training_alone(kind):
    encoder = make(kind)
    still = ops.convert_to_numpy(encoder(SOURCES, training=False).memory_BSM)
    np.testing.assert_array_equal(encoder(SOURCES).memory_BSM, still)
    moved = [ops.convert_to_numpy(encoder(SOURCES, training=True).memory_BSM) for _ in range(2)]
    assert np.abs(moved[0] - still).max() > 1e-3
    assert np.abs(moved[0] - moved[1]).max() > 1e-3


@pytest.mark.parametrize("kind", ["one", "first-residual", "reversed-deep", "pre_norm"])
def test_an_encoder_made_from_its_config_computes_the_same(kind):
    encoder = make(kind)
    other = twin(encoder)
    other(SOURCES)
    other.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(other(SOURCES).memory_BSM, encoder(SOURCES).memory_BSM)


@pytest.mark.parametrize("kind", ["one", "post_norm"])
def test_a_given_embedding_is_the_one_that_is_used(kind):
    shared = TokenEmbedding(VOCABULARY, UNITS if kind in TRANSFORMER else EMBEDDING)
    encoder = unbuilt(kind, embedding=shared)
    before = ops.convert_to_numpy(encoder(SOURCES).memory_BSM)
    shared.embeddings.assign(ops.ones(shared.embeddings.shape) * 0.5)
    assert np.abs(ops.convert_to_numpy(encoder(SOURCES).memory_BSM) - before).max() > 1e-2
    assert sum("embeddings" in weight.path for weight in encoder.weights) == 1


@pytest.mark.parametrize("kind", ["first-residual", "post_norm", "pre_norm"])
@pytest.mark.parametrize("way", ["global", "argument"])
def test_mixed_precision_reaches_every_part(kind, way, policy):
    if way == "global":
        policy("mixed_bfloat16")
    encoder = unbuilt(kind, dtype="mixed_bfloat16" if way == "argument" else None)
    found = encoder(SOURCES)
    assert "bfloat16" in str(found.memory_BSM.dtype)
    assert "bfloat16" in str(found.summary_BM.dtype)
    for part in encoder._flatten_layers():
        assert (part.compute_dtype, part.variable_dtype) == ("bfloat16", "float32"), part.name
