"""Each kernel of a backend against the plain function that it stands for: values and gradients."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from seq2seq_tfx.models import recurrence_tensorflow
from seq2seq_tfx.models.additive_score import additive_score, plain_additive_score
from seq2seq_tfx.models.cells import CELLS
from seq2seq_tfx.models.cross_entropy import plain_token_losses, token_losses
from seq2seq_tfx.models.projection import Projection
from seq2seq_tfx.models.recurrence import plain_recurrence, recurrence
from seq2seq_tfx.models.sequential import one_by_one, plain_one_by_one

from .tiny import ON_TENSORFLOW, SOURCES, TARGETS, TWO, config_of, new, randomize

pytestmark = pytest.mark.skipif(not ON_TENSORFLOW, reason="TensorFlow's kernels")

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
PADDED = np.arange(TIME) < np.array([6, 1, 4, 2])[:, None]
HOLES = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1], [0] * 6, [1] * 6], bool)


def with_gradients(function, given):
    """What a function gives, and the gradients of an uneven sum of it."""
    with tf.GradientTape() as tape:
        tape.watch(given)
        outputs = keras.tree.flatten(function())
        total = sum(
            tf.reduce_sum(x * tf.cos(tf.reshape(tf.range(tf.size(x), dtype=x.dtype), tf.shape(x))))
            for x in outputs
        )
    gradients = tape.gradient(total, given)
    return outputs, [None if x is None else tf.convert_to_tensor(x) for x in gradients]


def equal(one, other, tolerance):
    for x, y in zip(one, other, strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance)


@pytest.mark.parametrize(
    "in_graph",
    [pytest.param(False, id="eager"), pytest.param(True, id="graph", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("mask", "drops"),
    [
        pytest.param(None, False, id="whole"),
        pytest.param(PADDED, False, id="padded"),
        pytest.param(HOLES, False, id="holes"),
        pytest.param(HOLES, True, id="variational"),
    ],
)
@pytest.mark.parametrize("training", [False, True], ids=["still", "training"])
@pytest.mark.parametrize("name", [name for name, (cell, _) in CELLS.items() if cell.KERNEL])
def test_a_recurrence_equals_the_plain_one(name, training, mask, drops, in_graph):
    rng = np.random.default_rng(1)
    cell_class, settings = CELLS[name]
    cell = cell_class(UNITS, **settings)
    states = [tf.constant(rng.normal(size=(BATCH, UNITS)), tf.float32)] * cell.STATES
    inputs = tf.constant(rng.normal(size=(BATCH, TIME, FEATURES)), tf.float32)
    projection = Projection(cell.GATES * UNITS)
    cell(projection(inputs)[:, 0], states)
    weights = [*randomize(projection).weights, *randomize(cell).weights]
    given = [inputs, *states[:1], *(weight.value for weight in weights)]
    kept = tf.constant(2.0 * rng.integers(0, 2, (BATCH, UNITS)), tf.float32) if drops else None
    found = []
    masked = None if mask is None else tf.constant(mask)
    for run in (functools.partial(recurrence, training=training), plain_recurrence):

        def measured(run=run):
            return with_gradients(
                lambda: run(cell, projection, inputs, states, masked, kept), given
            )

        found.append((tf.function(measured) if in_graph else measured)())
    for one, other in zip(*found, strict=True):
        equal(one, other, 2e-5)


@pytest.mark.parametrize("wide", [False, True], ids=["turned round", "as it is"])
def test_on_every_processor_rows_are_multiplied_by_the_kernel(monkeypatch, wide):
    monkeypatch.setattr(recurrence_tensorflow, "has_avx512", lambda: wide)
    rows, kernel = np.random.default_rng(1).normal(size=(2, UNITS, UNITS))
    product = recurrence_tensorflow.few_rows_by(tf.constant(kernel))(tf.constant(rows))
    np.testing.assert_allclose(product, rows @ kernel)


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"dropout": 0.0}, id="one_layer"),
        pytest.param({"dropout": 0.0, "size": {"readout": 25}}, id="readout_wider_than_gates"),
        pytest.param({"dropout": 0.3, "size": TWO}, id="two_layers-dropout"),
        pytest.param({"dropout": 0.3, "size": TWO, "variational_dropout": True}, id="variational"),
    ],
)
def test_input_feeding_equals_the_plain_one(changes, in_graph):
    model = randomize(new(config_of("additive-fed", **changes)))
    decoder = model.decoder
    encoded = model.encoder(SOURCES, training=False)
    embedded = decoder.embedding(TARGETS)
    given = [embedded, encoded.memory_BSM, encoded.summary_BM]
    given += [weight.value for weight in decoder.trainable_weights]
    found = []
    for run in (one_by_one, plain_one_by_one):

        def measured(run=run):
            def outputs():
                state, source = decoder.begin(encoded)
                read, _, weights = run(decoder, embedded, state, source, training=True)
                return read, weights

            return with_gradients(outputs, given)

        if changes["dropout"]:
            decoder.dropout.seed_generator.state.assign([1, 2])
        found.append((tf.function(measured) if in_graph else measured)())
    (outputs, gradients), (expected, expected_gradients) = found
    equal(outputs, expected, 2e-5)
    known = [x is not None for x in expected_gradients]
    assert known == [x is not None for x in gradients] and sum(known) > 10
    equal(*([x for x in some if x is not None] for some in (gradients, expected_gradients)), 5e-5)


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(PADDED, id="sources"),
        pytest.param(HOLES, id="holes"),
        pytest.param(PADDED[:, None] & HOLES[:, :3, None], id="sources-and-targets"),
    ],
)
def test_the_additive_score_equals_the_plain_one_where_one_may_look(mask, in_graph):
    rng = np.random.default_rng(3)
    shapes = (BATCH, 3, UNITS), (BATCH, TIME, UNITS), (UNITS,)
    given = [tf.constant(rng.normal(size=shape), tf.float32) for shape in shapes]
    seen = mask if mask.ndim == 3 else mask[:, None]
    found = []
    for score in (
        lambda: additive_score(*given, mask, training=True),
        lambda: plain_additive_score(*given),
    ):

        def measured(score=score):
            return with_gradients(lambda: tf.where(seen, score(), 0.0), given)

        found.append((tf.function(measured) if in_graph else measured)())
    for one, other in zip(*found, strict=True):
        equal(one, other, 2e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_loss_of_tokens_equals_the_plain_one(smoothing, dtype):
    rng = np.random.default_rng(2)
    logits = tf.cast(5 * rng.normal(size=(7, 11)), dtype)
    labels = tf.constant(rng.integers(0, 11, 7))
    found = [
        with_gradients(lambda run=run: run(labels, logits, smoothing), [logits])
        for run in (token_losses, plain_token_losses)
    ]
    equal(*(losses for losses, _ in found), 1e-5)
    tolerance = 1e-6 if dtype == "float32" else 1e-2
    equal(*([ops.cast(x, "float32") for x in gradients] for _, gradients in found), tolerance)


def test_the_loss_of_logits_far_from_zero_stays_a_number():
    logits = tf.constant([[1e4, -1e4, 0.0], [-1e30, 0.0, 0.0]])
    losses = token_losses(tf.constant([0, 1]), logits, 0.0)
    np.testing.assert_allclose(losses, [0.0, np.log(2)], atol=1e-6)


@pytest.mark.parametrize("attention", ["general", "additive"])
def test_in_training_targets_are_read_until_the_last_position_asked_for(attention):
    model = randomize(new(config_of("default", dropout=0.0, attention=attention)))
    encoded = model.encoder(SOURCES, training=False)
    positions = np.array([3, 1, 5, 10, 8], "int32")  # of [4, 4]; one row has none

    def found(training):
        with tf.GradientTape() as tape:
            logits, _ = model.decoder(TARGETS, encoded, positions, training=training)
            loss = tf.reduce_sum(tf.sin(logits))
        return logits, tape.gradient(loss, model.decoder.trainable_weights)

    (logits, gradients), (plain, others) = found(True), found(False)
    every, _ = model.decoder(TARGETS, encoded, training=False)
    np.testing.assert_allclose(logits, tf.reshape(every, [16, -1]).numpy()[positions], atol=2e-5)
    np.testing.assert_allclose(plain, logits, atol=2e-5)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient), tf.convert_to_tensor(other), atol=2e-4
        )
