"""The whole network: what may influence a logit, what may not, and that it learns."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from pydantic import ValidationError

from seq2seq_tfx.models import features
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy
from seq2seq_tfx.models.seq2seq import ModelConfig, Seq2Seq, build_seq2seq

SOURCE_VOCABULARY, TARGET_VOCABULARY = 9, 11
SOURCES = np.array([[4, 5, 6, 7, 2], [8, 3, 2, 0, 0], [2, 0, 0, 0, 0], [5, 5, 4, 2, 0]])
TARGETS = np.array([[1, 4, 5, 10], [1, 6, 0, 0], [1, 9, 8, 0], [1, 0, 0, 0]])
KINDS = {
    "dot_product-forward-deep": {
        "attention": "dot_product",
        "bidirectional": False,
        "encoder_layers": 2,
        "decoder_layers": 3,
    },
    "additive-both_ways-deep": {"encoder_layers": 2, "decoder_layers": 2},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def model(request):
    keras.utils.set_random_seed(11)
    config = ModelConfig(embedding_size=5, units=6, dropout=0.3, **request.param)
    model = build_seq2seq(config, SOURCE_VOCABULARY, TARGET_VOCABULARY)
    for weight in model.trainable_variables:  # far from zero, so that all that can matter does
        weight.assign(weight * 3.0)
    return model


def logits(model, sources, targets):
    inputs = {features.SOURCE_IDS: sources, features.TARGET_IDS: targets}
    return ops.convert_to_numpy(model(inputs, training=False))


def pad(ids, columns):
    return np.pad(ids, [(0, 0), (0, columns)], constant_values=features.PAD)


@pytest.mark.parametrize(("source", "target"), [(3, 0), (0, 2), (4, 5)])
def test_further_padding_does_not_change_the_logits(model, source, target):
    before = logits(model, SOURCES, TARGETS)
    after = logits(model, pad(SOURCES, source), pad(TARGETS, target))
    np.testing.assert_allclose(after[:, : TARGETS.shape[1]], before, atol=1e-5)


def test_the_logits_do_not_depend_on_what_else_is_in_the_batch(model):
    together = logits(model, SOURCES, TARGETS)
    for row in range(len(SOURCES)):
        source, target = (x[row][x[row] != features.PAD][None] for x in (SOURCES, TARGETS))
        alone = logits(model, source, target)[0]
        np.testing.assert_allclose(together[row, : len(alone)], alone, atol=1e-5)


def test_every_source_token_and_its_place_matter(model):
    source = [4, 5, 6, 7, 2]
    others = [[5, 4, 6, 7, 2]]  # two tokens that changed places
    for place, other in itertools.product(range(5), (3, 8)):
        others.append([*source[:place], other, *source[place + 1 :]])
    sources = np.array([source, *others])
    first, *rest = logits(model, sources, TARGETS[:1].repeat(len(sources), axis=0))
    for changed in rest:
        assert np.abs(changed - first).max() > 1e-4


def test_step_by_step_equals_the_teacher_forced_pass(model):
    whole = logits(model, SOURCES, TARGETS)
    state, memory = model.decoder.begin(model.encoder(SOURCES, training=False))
    for t in range(TARGETS.shape[1]):
        step, state, weights = model.decoder.step(TARGETS[:, t], state, memory)
        np.testing.assert_allclose(step, whole[:, t], atol=1e-5)
        np.testing.assert_array_equal(ops.convert_to_numpy(weights)[SOURCES == features.PAD], 0)


def test_a_target_token_influences_no_earlier_logits_and_its_own(model):
    target = [1, 4, 5, 10, 7]
    others = [[*target[:place], 8, *target[place + 1 :]] for place in range(len(target))]
    # Each alone: side by side, rows differ by the rounding of one matrix product.
    first, *rest = (logits(model, SOURCES[:1], np.array([t]))[0] for t in (target, *others))
    for place, changed in enumerate(rest):
        np.testing.assert_allclose(changed[:place], first[:place], atol=1e-6)
        assert np.abs(changed[place] - first[place]).max() > 1e-4


def test_dropout_falls_in_training_alone(model):
    inputs = {features.SOURCE_IDS: SOURCES, features.TARGET_IDS: TARGETS}
    np.testing.assert_array_equal(model(inputs, training=False), model(inputs, training=False))
    first, second = (ops.convert_to_numpy(model(inputs, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


def test_a_model_made_from_its_config_computes_the_same(model):
    twin = Seq2Seq.from_config(model.get_config())
    logits(twin, SOURCES, TARGETS)
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(logits(twin, SOURCES, TARGETS), logits(model, SOURCES, TARGETS))


def test_the_parameters_are_as_many_as_the_equations_have(model):
    e, h, settings = 5, 6, model.settings
    directions = 2 if settings["bidirectional"] else 1
    memory = directions * h

    def lstms(count, width, below):
        return sum(4 * h * (x + h + 1) for x in [width, *[below] * (count - 1)])

    encoder = SOURCE_VOCABULARY * e + directions * lstms(settings["encoder_layers"], e, memory)
    bridges = settings["decoder_layers"] * 2 * (memory + 1) * h  # one for h, one for c
    attention = memory * h  # U, or W of the dot product
    if settings["attention"] == "additive":
        attention += h * h + h + h  # W, its bias, v
    output = (h + memory + 1) * TARGET_VOCABULARY
    decoder = TARGET_VOCABULARY * e + lstms(settings["decoder_layers"], e, h)

    assert (settings["embedding_size"], settings["units"]) == (e, h)
    assert model.count_params() == encoder + bridges + attention + output + decoder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attention", "bidirectional", "depth"),
    itertools.product(["additive", "dot_product"], [True, False], [1, 2]),
)
def test_every_combination_learns(attention, bidirectional, depth):
    """To copy a token, with dropout on."""
    keras.utils.set_random_seed(3)
    words = np.arange(4, 9)[:, None].repeat(4, axis=0)
    column = np.ones_like(words)
    labels = np.concatenate([words, features.EOS * column], axis=1)
    inputs = {
        features.SOURCE_IDS: labels,
        features.TARGET_IDS: np.concatenate([features.BOS * column, words], axis=1),
    }
    config = ModelConfig(
        embedding_size=16,
        units=16,
        attention=attention,
        bidirectional=bidirectional,
        encoder_layers=depth,
        decoder_layers=depth,
        dropout=0.1,
    )
    model = build_seq2seq(config, 9, 9)
    before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    # Eager: to trace a graph takes longer than these few steps. One step an epoch,
    # so that the history holds the loss of each.
    model.compile(
        keras.optimizers.Adam(0.05),
        TokenCrossEntropy(),
        metrics=[TokenAccuracy()],
        run_eagerly=True,
    )
    history = model.fit(inputs, labels, batch_size=len(labels), epochs=4, verbose=0).history
    assert history["loss"][0] == pytest.approx(np.log(9), abs=0.2)
    assert min(history["loss"]) < 0.85 * history["loss"][0]
    # Nothing stands idle: the gradient reached every weight.
    for variable, value in zip(model.trainable_variables, before, strict=True):
        assert np.abs(ops.convert_to_numpy(variable) - value).max() > 1e-3, variable.path


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"unit": 4}, "unit"),
        ({"units": 0}, "units"),
        ({"units": "4"}, "units"),
        ({"units": 4.0}, "units"),
        ({"embedding_size": -1}, "embedding_size"),
        ({"encoder_layers": 0}, "encoder_layers"),
        ({"decoder_layers": 0}, "decoder_layers"),
        ({"bidirectional": "yes"}, "bidirectional"),
        ({"cell": "gru"}, "cell"),
        ({"attention": "none"}, "attention"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
    ],
)
def test_a_model_that_cannot_be_is_refused_by_the_name_of_its_setting(settings, field):
    with pytest.raises(ValidationError) as caught:
        ModelConfig(**settings)
    (error,) = caught.value.errors()
    assert error["loc"] == (field,)


def test_a_configuration_does_not_change_once_read():
    with pytest.raises(ValidationError, match="frozen"):
        ModelConfig().units = 3
