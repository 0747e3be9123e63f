"""The objective and its metric against NumPy, token by token."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy

from .tiny import ON_TENSORFLOW, SOURCES, TARGETS, config_of, new, randomize

VOCABULARY = 7
SMOOTHING = [0.0, 0.1, 0.4]


def batch(rows, time, seed=0):
    """Labels with some padding, and logits."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, VOCABULARY, size=(rows, time))
    lengths = rng.integers(1, time + 1, size=rows)
    labels[np.arange(time) >= lengths[:, None]] = features.PAD
    logits = rng.normal(scale=3.0, size=(rows, time, VOCABULARY)).astype("float32")
    return labels, logits


def cross_entropy(labels, logits, smoothing):
    """-sum_v q(v) log p(v), q = (1 - eps) [v = y] + eps / V, the mean over real tokens."""
    total, tokens, size = 0.0, 0, logits.shape[-1]
    for label, logit in zip(labels.ravel(), logits.reshape(-1, size), strict=True):
        if label != features.PAD:
            log_p = logit.astype("float64") - np.log(np.exp(logit.astype("float64")).sum())
            q = (1 - smoothing) * np.eye(size)[label] + smoothing / size
            total, tokens = total - q @ log_p, tokens + 1
    return total / tokens


def widen(labels, logits, rows, columns):
    """Adds padding, with logits that would cost much if they counted."""
    labels = np.pad(labels, [(0, rows), (0, columns)], constant_values=features.PAD)
    return labels, np.pad(logits, [(0, rows), (0, columns), (0, 0)], constant_values=-9.0) + (
        np.where(labels == features.PAD, 1.0, 0.0)[..., None] * np.arange(VOCABULARY) * 5
    ).astype("float32")


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_cross_entropy_is_the_mean_over_real_tokens(smoothing):
    labels, logits = batch(5, 6)
    assert (labels == features.PAD).any()
    loss = TokenCrossEntropy(smoothing)(labels, logits)
    assert float(loss) == pytest.approx(cross_entropy(labels, logits, smoothing), rel=1e-5)


def test_the_loss_of_a_split_is_the_mean_over_its_tokens_however_batches_are_cut():
    model = randomize(new(config_of("default", dropout=0.0)))
    model.compile(keras.optimizers.SGD(0.0), TokenCrossEntropy(0.1), jit_compile=False)
    inputs = {features.SOURCE_IDS: SOURCES, features.TARGET_IDS: TARGETS[:, :-1]}
    labels = TARGETS[:, 1:].copy()
    labels[:, 0] = 2
    expected = cross_entropy(labels, ops.convert_to_numpy(model(inputs)), 0.1)
    for size in (1, 3, 4):
        validated = model.evaluate(inputs, labels, size, verbose=0, return_dict=True)
        trained = model.fit(inputs, labels, size, verbose=0).history
        assert validated["loss"] == pytest.approx(expected, rel=1e-5)
        assert trained["loss"] == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize(("rows", "columns"), [(0, 4), (3, 0), (2, 5)])
def test_more_padding_does_not_change_the_cross_entropy(smoothing, rows, columns):
    labels, logits = batch(4, 5)
    loss = TokenCrossEntropy(smoothing)
    padded = loss(*widen(labels, logits, rows, columns))
    assert float(padded) == pytest.approx(float(loss(labels, logits)), rel=1e-6)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="TensorFlow's tape")
@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_the_gradient_is_zero_at_padding_and_p_minus_q_elsewhere(smoothing):
    import tensorflow as tf

    labels, logits = batch(4, 5)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = TokenCrossEntropy(smoothing)(labels, variable)
    gradient = tape.gradient(loss, variable).numpy()
    real = labels != features.PAD
    assert (~real).any()
    np.testing.assert_array_equal(gradient[~real], 0.0)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    q = (1 - smoothing) * np.eye(VOCABULARY)[labels] + smoothing / VOCABULARY
    np.testing.assert_allclose(gradient[real], ((p - q) / real.sum())[real], atol=1e-6)


def test_a_batch_of_padding_alone_costs_nothing():
    _, logits = batch(2, 3)
    assert float(TokenCrossEntropy(0.1)(np.zeros((2, 3), int), logits)) == 0.0


def test_half_precision_logits_are_summed_in_full_precision():
    labels, logits = batch(40, 30)
    loss = TokenCrossEntropy(0.1)(labels, ops.convert_to_tensor(logits, "float16"))
    rounded = logits.astype("float16").astype("float32")
    assert float(loss) == pytest.approx(cross_entropy(labels, rounded, 0.1), rel=1e-5)


def test_a_loss_made_from_its_config_is_the_same():
    labels, logits = batch(3, 4)
    loss = TokenCrossEntropy(0.3)
    twin = TokenCrossEntropy.from_config(loss.get_config())
    assert float(twin(labels, logits)) == float(loss(labels, logits))


def test_accuracy_weighs_tokens_not_batches():
    metric, hits, tokens = TokenAccuracy(), 0, 0
    for seed, (rows, time) in enumerate([(1, 2), (8, 3), (3, 20)]):
        labels, logits = batch(rows, time, seed)
        if seed == 1:  # one batch far better than the others
            np.put_along_axis(logits, labels[..., None], 20.0, axis=-1)
        # A guess of PAD at padding is no hit.
        logits[labels == features.PAD, features.PAD] = 30.0
        real = labels != features.PAD
        hits += (logits.argmax(axis=-1) == labels)[real].sum()
        tokens += real.sum()
        metric.update_state(labels, logits)
    assert 0 < hits < tokens
    assert float(metric.result()) == pytest.approx(hits / tokens, rel=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0.0
