"""Every decoder: its two ways to the same answer, and what may influence a logit."""

import keras
import numpy as np
import pytest
from keras import ops, tree
from keras.backend import standardize_dtype

from seq2seq_tfx.models import features
from seq2seq_tfx.models.embeddings import TokenEmbedding
from seq2seq_tfx.models.losses import TokenCrossEntropy

from .equations import network, real, softmax
from .tiny import (
    KINDS,
    QUICK,
    SOURCES,
    TARGETS,
    config_of,
    every_kind,
    few_kinds,
    new,
    scored,
    slow_but,
    tiny,
    twin,
    whole,
)

pytestmark = pytest.mark.filterwarnings("ignore:You are using a softmax over axis")


def attends(kind):
    return config_of(kind).has_attention


def stepped(model, sources, targets, steps=None):
    """Logits and attention step by step, with room for `steps`."""
    encoded = model.encoder(sources, training=False)
    state, source = model.decoder.begin(encoded, steps or targets.shape[1])
    logits, weights = [], []
    for t in range(targets.shape[1]):
        step, state, attention = model.decoder.step(targets[:, t], state, source)
        logits.append(ops.convert_to_numpy(step))
        weights.append(ops.convert_to_numpy(attention))
    return np.stack(logits, axis=1), np.stack(weights, axis=1)


@every_kind
def test_logits_and_attention_are_those_of_the_equations(kind):
    logits, attention = whole(kind)
    for row in range(len(SOURCES)):
        source, target = (real(ids[row]) for ids in (SOURCES, TARGETS))
        expected, weights = network(tiny(kind), source, target)
        places = slice(len(target))
        np.testing.assert_allclose(logits[row, places], expected, atol=3e-5)
        np.testing.assert_allclose(attention[row, places, : len(source)], weights, atol=2e-5)


@every_kind
def test_step_by_step_equals_the_teacher_forced_pass(kind):
    logits, weights = stepped(tiny(kind), SOURCES, TARGETS)
    expected_logits, expected_weights = whole(kind)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-5)


@every_kind
def test_attention_is_a_distribution_over_what_is_real(kind):
    _, weights = whole(kind)
    padding = np.broadcast_to((SOURCES == features.PAD)[:, None], weights.shape)
    np.testing.assert_array_equal(weights[padding], 0.0)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0 if attends(kind) else 0.0, atol=1e-5)


@every_kind
def test_neither_padding_nor_other_rows_change_an_answer(kind):
    for row in (1, 2):  # one of the middle, and EOS alone
        source, target = (x[row][x[row] != features.PAD][None] for x in (SOURCES, TARGETS))
        alone, weights = scored(tiny(kind), source, target)
        together, together_weights = (x[row, : target.shape[1]] for x in whole(kind))
        np.testing.assert_allclose(alone[0], together, atol=1e-5)
        np.testing.assert_allclose(weights[0], together_weights[:, : source.shape[1]], atol=1e-5)


@every_kind
def test_every_source_token_matters_and_a_target_token_to_what_follows(kind):
    source, target = [4, 5, 6, 7, 2], [1, 4, 5, 10, 7]
    sources = [[5, 4, 6, 7, 2]]  # two tokens that changed places
    sources += [[*source[:i], x, *source[i + 1 :]] for i in range(5) for x in (3, 8)]
    targets = [[*target[:i], 8, *target[i + 1 :]] for i in range(5)]
    first, *rest = scored(
        tiny(kind),
        np.array([source, *sources, *[source] * len(targets)], "int32"),
        np.array([target, *[target] * len(sources), *targets], "int32"),
    )[0]
    for changed in rest[: len(sources)]:
        assert np.abs(changed - first).max() > 1e-4
    for place, changed in enumerate(rest[len(sources) :]):
        np.testing.assert_allclose(changed[:place], first[:place], atol=5e-6)
        assert np.abs(changed[place] - first[place]).max() > 1e-4


@few_kinds
def test_dropout_falls_in_training_alone(kind):
    model = tiny(kind)
    np.testing.assert_array_equal(scored(model, SOURCES, TARGETS)[0], whole(kind)[0])
    # Of the decoder alone: what the encoder gives is the same each time.
    encoded = model.encoder(SOURCES, training=False)
    passes = [model.decoder(TARGETS, encoded, training=True) for _ in range(2)]
    (first, weights), (second, other_weights) = [map(ops.convert_to_numpy, p) for p in passes]
    assert np.isfinite(first).all()
    assert np.abs(first - second).max() > 1e-3
    if attends(kind):  # which depends on no dropout but that of the layers
        assert np.abs(weights - other_weights).max() > 1e-3


@pytest.mark.parametrize("kind", slow_but(KINDS, ["gnmt2016"]))
def test_every_place_of_dropout_changes_something_by_itself(kind):
    model = tiny(kind)
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.Dropout) and x.rate]
    config = config_of(kind)
    per_layer = {"recurrent": (0, 0), "transformer": (2, 3)}
    assert len(layers) == 2 + (
        per_layer[config.encoder][0] * config.size.encoder_layers
        + per_layer[config.decoder][1] * config.size.decoder_layers
    )
    rates = [layer.rate for layer in layers]
    try:
        for alone in layers:
            for layer in layers:
                layer.rate = 0.5 if layer is alone else 0.0
            logits, _ = scored(model, SOURCES, TARGETS, training=True)
            assert np.abs(logits - whole(kind)[0]).max() > 1e-3, alone.path
    finally:
        for layer, rate in zip(layers, rates, strict=True):
            layer.rate = rate


@every_kind
def test_without_a_rate_training_computes_what_serving_does(kind):
    model = tiny(kind)
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.Dropout)]
    rates = [layer.rate for layer in layers]
    assert set(rates) <= {0.0, 0.3} and 0.3 in rates
    try:
        for layer in layers:
            layer.rate = 0.0
        logits, weights = scored(model, SOURCES, TARGETS, training=True)
    finally:
        for layer, rate in zip(layers, rates, strict=True):
            layer.rate = rate
    np.testing.assert_allclose(logits, whole(kind)[0], atol=1e-5)
    np.testing.assert_allclose(weights, whole(kind)[1], atol=1e-5)


@pytest.mark.parametrize("kind", slow_but(KINDS, ["default", "transformer2017"]))
def test_a_training_step_with_dropout_reaches_every_weight(kind):
    keras.utils.set_random_seed(5)
    model = new(config_of(kind))
    model.set_weights(tiny(kind).get_weights())
    before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), TokenCrossEntropy(), run_eagerly=True)
    labels = np.array([[4, 5, 10, 2], [6, 2, 0, 0], [9, 8, 2, 0], [2, 0, 0, 0]], "int32")
    inputs = {features.SOURCE_IDS: SOURCES, features.TARGET_IDS: TARGETS}
    loss = model.train_on_batch(inputs, labels, return_dict=True)["loss"]
    assert np.isfinite(loss)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        after = ops.convert_to_numpy(variable)
        assert np.isfinite(after).all(), variable.path
        assert np.abs(after - value).max() > 1e-7, variable.path


@few_kinds
def test_a_decoder_made_from_its_config_computes_the_same(kind):
    model = tiny(kind)
    encoded = model.encoder(SOURCES, training=False)
    other = twin(model.decoder)
    other(TARGETS, encoded)
    other.set_weights(model.decoder.get_weights())
    for found, expected in zip(other(TARGETS, encoded), whole(kind), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["default", "transformer2017"])
def test_a_given_embedding_is_the_one_that_is_used(kind):
    width = 6 if kind == "transformer2017" else 5
    shared = TokenEmbedding(11, width)
    decoder = type(tiny(kind).decoder)(
        **{**tiny(kind).decoder.settings, "tied_output": True}, embedding=shared
    )
    decoder(TARGETS, tiny(kind).encoder(SOURCES))
    assert sum("embeddings" in weight.path for weight in decoder.weights) == 1
    assert decoder.embedding is shared
    assert decoder.readout.tied_to is shared


@pytest.mark.parametrize("kind", slow_but(QUICK, ["gnmt2016"]))
@pytest.mark.parametrize("way", slow_but(["argument", "global"], ["argument"]))
def test_mixed_precision_reaches_every_part_and_stays_near(kind, way, policy):
    if way == "global":
        policy("mixed_bfloat16")
    original = tiny(kind)
    dtype = "mixed_bfloat16" if way == "argument" else None
    encoder = type(original.encoder)(**original.encoder.settings, dtype=dtype)
    decoder = type(original.decoder)(**original.decoder.settings, dtype=dtype)
    decoder(TARGETS[:1, :1], encoder(SOURCES[:1]))
    encoder.set_weights(original.encoder.get_weights())
    decoder.set_weights(original.decoder.get_weights())
    encoded = encoder(SOURCES)
    logits, weights = decoder(TARGETS, encoded)
    head = [decoder.copy_head, decoder.copy_head.gate] if decoder.copy_head else []
    assert standardize_dtype(weights.dtype) == "bfloat16"
    assert standardize_dtype(logits.dtype) == ("float32" if head else "bfloat16")
    for part in [*encoder._flatten_layers(), *decoder._flatten_layers()]:
        if part not in head:
            dtypes = (part.compute_dtype, part.variable_dtype)
            assert dtypes == ("bfloat16", "float32"), part.name
    found = softmax(ops.convert_to_numpy(ops.cast(logits, "float32")))
    assert np.abs(found - softmax(whole(kind)[0])).mean() < 0.02
    state, source = decoder.begin(encoded, 4)
    step, after, _ = decoder.step(TARGETS[:, 0], state, source)
    assert step.dtype == logits.dtype
    assert [x.dtype for x in tree.flatten(after)] == [x.dtype for x in tree.flatten(state)]
