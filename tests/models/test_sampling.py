"""Sampling: what is drawn, how often, and that nothing else decides on it."""

import functools

import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.search import Begun, greedy_search, sample

from . import brute_force
from .brute_force import Asked, Table, found_in, options
from .tiny import SOURCES, scored, tiny

VOCABULARY, LIMIT, ROWS = 7, 5, 12
MANY = 400


def uniforms(rows=ROWS, samples=6, limit=LIMIT, seed=0):
    return np.random.default_rng(seed).uniform(size=(rows, samples, limit)).astype("float32")


def stratified(rows, limit=LIMIT):
    """The first draw of each row takes the middle of each of as many equal parts of [0, 1)."""
    values = uniforms(rows, MANY, limit)
    values[..., 0] = (np.arange(MANY) + 0.5) / MANY
    return values


@functools.cache
def table():
    return Table(ROWS, VOCABULARY, LIMIT, scale=1.0)


def questions(seed=1):
    """Options that differ from row to row."""
    rng = np.random.default_rng(seed)
    return [
        Asked(
            limit := int(rng.integers(1, LIMIT + 1)),
            shortest=int(rng.integers(0, limit)),
            alpha=float(rng.choice([0.0, 1.0])),
            beta=float(rng.choice([0.0, 0.5])),
            temperature=float(rng.choice([0.3, 1.0, 2.0])),
            top_k=int(rng.choice([0, 2, 3])),
            top_p=float(rng.choice([0.5, 0.9, 1.0])),
            prefix=(4,)[: int(rng.integers(0, min(limit, 2)))],
        )
        for _ in range(ROWS)
    ]


def draw(asked, values, rows=None, covers=True):
    rows = range(len(asked)) if rows is None else rows
    begun = table().begun(rows)
    return sample(begun, options(asked), values.shape[2], covers, ops.convert_to_tensor(values))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_drawn_is_where_the_uniforms_fall_in_the_cut_distribution(seed):
    asked, values = questions(seed), uniforms(seed=seed)
    found = draw(asked, values)
    for row, question in enumerate(asked):
        expected = sorted(
            (
                (brute_force.score(table(), row, ids, question), ids)
                for ids in (brute_force.drawn(table(), row, question, u) for u in values[row])
            ),
            reverse=True,
        )
        answer = found_in(found, row)
        assert len(answer) == values.shape[1]
        np.testing.assert_allclose([s for s, *_ in answer], [s for s, _ in expected], atol=1e-4)
        assert sorted(ids for *_, ids in answer) == sorted(ids for _, ids in expected)
        for score, log_prob, ids in answer:
            # The model's own, at whatever temperature and however cut.
            own = brute_force.log_prob(table(), row, ids)
            assert log_prob == pytest.approx(own, abs=1e-4)
            assert score == pytest.approx(brute_force.score(table(), row, ids, question), abs=1e-4)


def test_the_same_uniforms_give_the_same_answer_and_others_another():
    asked = [Asked(LIMIT)] * ROWS
    one, same, other = (draw(asked, uniforms(seed=seed)) for seed in (2, 2, 3))
    np.testing.assert_array_equal(one.ids_BNL, same.ids_BNL)
    np.testing.assert_array_equal(one.scores_BN, same.scores_BN)
    assert (ops.convert_to_numpy(one.ids_BNL) != ops.convert_to_numpy(other.ids_BNL)).any()


def test_what_a_row_draws_does_not_depend_on_the_batch():
    asked, values = questions(), uniforms()
    together = draw(asked, values)
    for row in range(0, ROWS, 3):
        alone = draw([asked[row]], values[row : row + 1], rows=[row])
        assert found_in(alone, 0) == found_in(together, row)


@pytest.mark.parametrize(
    "cut", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-3}], ids=["top_k", "top_p", "cold"]
)
def test_with_one_token_to_choose_from_it_is_greedy(cut):
    asked = [Asked(q.limit, q.shortest, alpha=q.alpha, prefix=q.prefix, **cut) for q in questions()]
    found = draw(asked, uniforms(), covers=False)
    greedy = greedy_search(table().begun(range(ROWS)), options(asked), LIMIT, False)
    for row in range(ROWS):
        (expected,) = found_in(greedy, row)
        for score, log_prob, ids in found_in(found, row):
            assert ids == expected[2]
            np.testing.assert_allclose([score, log_prob], expected[:2], atol=1e-5)


CUTS = [
    {},
    {"temperature": 0.5},
    {"temperature": 3.0},
    {"top_k": 3},
    {"top_p": 0.6},
    {"top_k": 4, "top_p": 0.8, "temperature": 1.5},
]


@pytest.mark.parametrize("temperature", [1e-30, 1e-38, 1e-45])
def test_however_cold_it_draws_the_likeliest_of_what_may_come(temperature):
    asked = [Asked(LIMIT, shortest=2, temperature=temperature)] * ROWS
    likeliest = greedy_search(table().begun(range(ROWS)), options(asked), LIMIT, False)
    found = draw(asked, uniforms(), covers=False)
    for row in range(ROWS):
        (expected,) = found_in(likeliest, row)
        assert [ids for *_, ids in found_in(found, row)] == [expected[-1]] * 6


@pytest.fixture(scope="module")
def first_tokens():
    """How often each token was drawn first, by MANY evenly spread uniforms, for each cut."""
    asked = [Asked(2, **cut) for cut in CUTS]
    found = ops.convert_to_numpy(draw(asked, stratified(len(asked), 2)).ids_BNL)[..., 0]
    return [np.bincount(row, minlength=VOCABULARY) for row in found]


@pytest.mark.parametrize("row", range(len(CUTS)), ids=map(str, CUTS))
def test_tokens_come_as_often_as_the_tempered_distribution_says(first_tokens, row):
    tokens, probabilities = brute_force.nucleus(table(), row, Asked(2, **CUTS[row]), ())
    counts = first_tokens[row]
    # Of evenly spread points, an interval of length p holds MANY * p, give or take one.
    assert np.abs(counts[tokens] - MANY * probabilities).max() <= 1.01
    # And nothing from outside of the cut.
    assert counts.sum() == counts[tokens].sum() == MANY
    assert len(tokens) == VOCABULARY - 2 or CUTS[row].keys() & {"top_k", "top_p"}


def test_a_nucleus_is_the_fewest_likeliest_tokens_that_hold_p():
    """By trying all sets, on the distribution itself."""
    asked = Asked(LIMIT, top_p=0.7)
    for row in range(ROWS):
        tokens, _ = brute_force.nucleus(table(), row, asked, ())
        allowed = brute_force.may_follow(asked, 0, VOCABULARY)
        probabilities = np.exp(brute_force.log_softmax(table().log_probs(row, ())[allowed]))
        share = dict(zip(allowed, probabilities, strict=True))
        held = sum(share[token] for token in tokens)
        assert held >= 0.7 > held - min(share[token] for token in tokens)
        assert min(share[t] for t in tokens) >= max(
            [share[t] for t in allowed if t not in tokens], default=0
        )


@pytest.mark.parametrize("edge", [0.0, np.float32(1 - 2**-24)])
def test_uniforms_at_the_edges_draw_what_is_possible(edge):
    asked = questions()
    values = np.full((ROWS, 2, LIMIT), edge, "float32")
    found = draw(asked, values)
    for row, question in enumerate(asked):
        for *_, ids in found_in(found, row):
            prefixes = [(ids[:t], token) for t, token in enumerate(ids)]
            for prefix, token in prefixes:
                tokens, _ = brute_force.nucleus(table(), row, question, prefix)
                assert token == (tokens[0] if edge == 0 else tokens[-1])


@pytest.mark.parametrize(
    "kind", ["bahdanau2015", pytest.param("transformer2017", marks=pytest.mark.slow)]
)
def test_what_a_model_draws_has_the_log_probability_of_teacher_forcing(kind):
    model, limits = tiny(kind), [5, 4, 3, 5]
    asked = [Asked(limit, alpha=0.8, temperature=1.3) for limit in limits]
    encoded = model.encoder(SOURCES, training=False)
    state, source = model.decoder.begin(encoded, LIMIT)
    begun = Begun(model.decoder.step, state, source, encoded.mask_BS)
    found = sample(begun, options(asked), LIMIT, False, ops.convert_to_tensor(uniforms(4, 3)))
    ids = ops.convert_to_numpy(found.ids_BNL).reshape(-1, LIMIT)
    targets = np.pad(ids[:, :-1], [(0, 0), (1, 0)], constant_values=features.BOS)
    log_probs = brute_force.log_softmax(scored(model, SOURCES.repeat(3, axis=0), targets)[0])
    own = np.take_along_axis(log_probs, ids[..., None].astype(int), axis=-1)[..., 0]
    expected = np.where(ids == features.PAD, 0, own).sum(axis=-1).reshape(4, 3)
    np.testing.assert_allclose(found.log_probs_BN, expected, atol=1e-4)
    length = (ids != features.PAD).sum(axis=-1).reshape(4, 3)
    np.testing.assert_allclose(found.scores_BN, expected / ((5 + length) / 6) ** 0.8, atol=1e-4)
