"""Search against brute force: every hypothesis of a small random model, scored by itself."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.search import IMPOSSIBLE, beam_search, greedy_search, length_penalty
from seq2seq_tfx.models.seq2seq import ModelConfig, build_seq2seq

VOCABULARY = 6  # PAD, BOS, EOS, UNK and two words
LIMIT = 4
SOURCES = np.array([[3, 4, 5, 2], [5, 2, 0, 0], [4, 4, 2, 0]])


@pytest.fixture(scope="module", params=[("additive", 1), ("dot_product", 2)])
def model(request):
    attention, layers = request.param
    keras.utils.set_random_seed(7)
    config = ModelConfig(
        embedding_size=8,
        units=12,
        attention=attention,
        encoder_layers=layers,
        decoder_layers=layers,
    )
    model = build_seq2seq(config, 6, VOCABULARY)
    for weight in model.trainable_variables:  # far from uniform, so that hypotheses differ
        weight.assign(weight * 4.0)
    return model


@pytest.fixture(scope="module")
def begun(model):
    """The state before the first token, and the memory, of all sources."""
    return model.decoder.begin(model.encoder(SOURCES, training=False))


def teacher_forced(model, sources, hypotheses):
    """The log-probability of each hypothesis, EOS included, by one pass over all of them."""
    longest = max(map(len, hypotheses))
    targets = [
        [features.BOS, *ids[:-1]] + [features.PAD] * (longest - len(ids)) for ids in hypotheses
    ]
    inputs = {features.SOURCE_IDS: np.array(sources), features.TARGET_IDS: np.array(targets)}
    log_probs = ops.convert_to_numpy(ops.log_softmax(model(inputs)))
    return [
        sum(log_probs[row, t, token] for t, token in enumerate(ids))
        for row, ids in enumerate(hypotheses)
    ]


def every_hypothesis():
    words = [i for i in range(VOCABULARY) if i not in (features.PAD, features.BOS, features.EOS)]
    return [
        [*body, features.EOS]
        for length in range(LIMIT)
        for body in itertools.product(words, repeat=length)
    ]


@pytest.fixture(scope="module")
def enumeration(model):
    """The log-probability of every hypothesis of up to LIMIT tokens, for each source."""
    hypotheses = every_hypothesis()
    assert len(hypotheses) == 1 + 3 + 9 + 27
    pairs = [(source, ids) for source in SOURCES for ids in hypotheses]
    flat = teacher_forced(model, *zip(*pairs, strict=True))
    return np.reshape(flat, (len(SOURCES), -1))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_wide_beam_finds_what_enumeration_finds(model, begun, enumeration, alpha):
    hypotheses = every_hypothesis()
    penalties = np.array([((5 + len(ids)) / 6) ** alpha for ids in hypotheses])
    state, memory = begun
    # Before the last token, 27 prefixes that live and 9 that end compete for places.
    found = beam_search(
        model.decoder.step, state, memory, ops.full((3,), LIMIT), LIMIT, 36, 40, alpha
    )
    for row, log_probs in enumerate(enumeration):
        best = np.argsort(-log_probs / penalties)
        assert float(found.scores_BN[row][0]) > IMPOSSIBLE
        for rank, i in enumerate(best[:5]):
            assert [int(i) for i in found.ids_BNL[row][rank] if i] == hypotheses[i]
        # To the last: the pool holds all that there are.
        np.testing.assert_allclose(found.scores_BN[row], (log_probs / penalties)[best], atol=1e-4)
        by_ids = {tuple(ids): p for ids, p in zip(hypotheses, log_probs, strict=True)}
        for ids, log_prob in zip(found.ids_BNL[row], found.log_probs_BN[row], strict=True):
            key = tuple(int(i) for i in ids if i)
            assert float(log_prob) == pytest.approx(by_ids[key], abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_asking_for_one_hypothesis_gives_the_first_of_many(model, begun, alpha):
    state, memory = begun
    common = (model.decoder.step, state, memory, ops.full((3,), 12), 12, 4)
    one, many = beam_search(*common, 1, alpha), beam_search(*common, 4, alpha)
    np.testing.assert_array_equal(one.ids_BNL[:, 0], many.ids_BNL[:, 0])
    np.testing.assert_allclose(one.scores_BN[:, 0], many.scores_BN[:, 0], atol=1e-5)


def test_beam_of_one_is_greedy(model, begun):
    state, memory = begun
    common = (model.decoder.step, state, memory, ops.full((3,), 9), 9)
    greedy, beam = greedy_search(*common, 1.0), beam_search(*common, 1, 1, 1.0)
    for one, other in zip(greedy, beam, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_log_prob_is_that_of_teacher_forcing(model, begun):
    state, memory = begun
    found = beam_search(model.decoder.step, state, memory, ops.full((3,), 9), 9, 3, 3, 0.6)
    hypotheses = [[int(i) for i in ids if i] for row in found.ids_BNL for ids in row]
    expected = teacher_forced(model, SOURCES.repeat(3, axis=0), hypotheses)
    np.testing.assert_allclose(np.ravel(found.log_probs_BN), expected, atol=1e-4)


def test_an_answer_does_not_depend_on_the_batch(model, begun):
    state, memory = begun
    limits = np.array([9, 5, 7], "int32")
    together = beam_search(model.decoder.step, state, memory, limits, 9, 3, 3, 1.0)
    for row in range(3):
        ids = SOURCES[row][SOURCES[row] != features.PAD][None]
        alone_state, alone_memory = model.decoder.begin(model.encoder(ids, training=False))
        alone = beam_search(
            model.decoder.step, alone_state, alone_memory, limits[row : row + 1], 9, 3, 3, 1.0
        )
        np.testing.assert_array_equal(alone.ids_BNL[0], together.ids_BNL[row])
        np.testing.assert_allclose(alone.scores_BN[0], together.scores_BN[row], atol=1e-5)


def test_every_hypothesis_ends_with_eos_within_its_limit(model, begun):
    state, memory = begun
    limits = [1, 2, 3]
    for search in (
        greedy_search(model.decoder.step, state, memory, np.array(limits), 3),
        beam_search(model.decoder.step, state, memory, np.array(limits), 3, 4, 4),
    ):
        for row, limit in enumerate(limits):
            for ids, score in zip(search.ids_BNL[row], search.scores_BN[row], strict=True):
                kept = [int(i) for i in ids if i != features.PAD]
                if float(score) == IMPOSSIBLE:
                    assert kept == []
                else:
                    assert len(kept) <= limit
                    assert kept[-1] == features.EOS


def test_length_penalty_is_gnmts_formula():
    assert float(length_penalty(7, 0.65)) == pytest.approx((12 / 6) ** 0.65)
    assert float(length_penalty(1, 2.0)) == pytest.approx(1.0)
