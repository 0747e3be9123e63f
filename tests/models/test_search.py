"""Search against brute force: every hypothesis, or a beam of plain Python."""

import functools

import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.search import Begun, beam_search, greedy_search
from seq2seq_tfx.models.search_options import IMPOSSIBLE

from . import brute_force
from .brute_force import Asked, Table, found_in, options
from .tiny import KINDS, ON_TENSORFLOW, config_of, new, randomize, scored, slow_but

# PAD, BOS, EOS, UNK and two words: 1 + 3 + 9 + 27 hypotheses of up to four tokens.
VOCABULARY, LIMIT = 6, 4
EVERY = 40
WIDE = 36  # before the last token, 27 prefixes that live and 9 that end compete for places
PENALTIES = [(0.0, 0.0), (1.0, 0.0), (0.0, 0.6), (0.6, 0.3)]


def agree(found, expected, table=None, row=None):
    """The same hypotheses in the same order, with the same scores, the model's own as well."""
    assert [ids for _, _, ids in found] == [ids for _, ids in expected]
    np.testing.assert_allclose([s for s, _, _ in found], [s for s, _ in expected], atol=1e-4)
    for _, log_prob, ids in found:
        assert log_prob == pytest.approx(brute_force.log_prob(table, row, ids), abs=1e-4)


def random_questions(seed, count, limit, widest, vocabulary=VOCABULARY):
    """Options that differ from row to row."""
    rng = np.random.default_rng(seed)
    asked = []
    for _ in range(count):
        own_limit = int(rng.integers(1, limit + 1))
        width = int(rng.integers(1, widest + 1))
        forced = rng.integers(0, own_limit) if rng.random() < 0.3 else 0
        asked.append(
            Asked(
                own_limit,
                shortest=int(rng.integers(0, own_limit)),
                beam=width,
                hypotheses=int(rng.integers(1, width + 1)),
                alpha=float(rng.choice([0.0, 0.5, 1.0, 3.0])),
                beta=float(rng.choice([0.0, 0.2, 1.0])),
                prefix=tuple(rng.integers(3, vocabulary, forced).tolist()),
            )
        )
    return asked


# On tables of random numbers.


@pytest.mark.parametrize("seed", range(2))
def test_a_wide_beam_finds_every_hypothesis_in_its_order(seed):
    asked = [
        Asked(LIMIT, beam=WIDE, hypotheses=EVERY, alpha=alpha, beta=beta)
        for alpha, beta in PENALTIES
    ]
    asked += [
        Asked(LIMIT, 2, WIDE, EVERY, 1.0, 0.2),
        Asked(3, 0, WIDE, EVERY, 1.0, 0.2),
        Asked(LIMIT, 0, WIDE, EVERY, 0.5, 0.2, prefix=(4, 3)),
        Asked(1, 0, WIDE, EVERY, 0.5),
    ]
    table = Table(len(asked), VOCABULARY, LIMIT, seed=seed)
    found = beam_search(table.begun(range(len(asked))), options(asked), LIMIT, True, WIDE, EVERY)
    for row, question in enumerate(asked):
        expected = brute_force.enumerated(table, row, question)
        assert len(expected) == [40, 40, 40, 40, 36, 13, 4, 1][row]
        agree(found_in(found, row), expected, table, row)


@pytest.mark.parametrize("seed", range(6))
def test_beams_of_any_width_find_what_a_beam_finds_that_nothing_stops(seed):
    """Rows of many widths, wishes and limits side by side; `brute_force.beam` never stops early."""
    limit, widest, vocabulary, rows = 5, 6, 7, 24
    asked = random_questions(seed, rows, limit, widest, vocabulary)
    table = Table(rows, vocabulary, limit, seed=100 + seed, scale=[0.5, 1.0, 3.0][seed % 3])
    found = beam_search(table.begun(range(rows)), options(asked), limit, True, widest, widest)
    for row, question in enumerate(asked):
        expected = brute_force.beam(table, row, question)
        agree(found_in(found, row)[: question.hypotheses], expected, table, row)


def test_each_width_of_a_batch_finds_what_a_search_of_that_width_finds_alone():
    limit, widest = 5, 6
    asked = [Asked(limit, beam=w, hypotheses=w, alpha=0.7, beta=0.2) for w in range(1, widest + 1)]
    table = Table(widest, VOCABULARY, limit, seed=3)
    together = beam_search(table.begun(range(widest)), options(asked), limit, True, widest, widest)
    for row in (0, 2, 5):
        question, width = asked[row], asked[row].beam
        alone = beam_search(table.begun([row]), options([question]), limit, True, width, width)
        found, expected = found_in(together, row)[:width], found_in(alone, 0)
        assert [ids for *_, ids in found] == [ids for *_, ids in expected]
        np.testing.assert_allclose([s for s, *_ in found], [s for s, *_ in expected], atol=1e-5)


def test_an_answer_does_not_depend_on_the_batch():
    limit, widest, rows = 5, 4, 8
    asked = random_questions(11, rows, limit, widest)
    table = Table(rows, VOCABULARY, limit, seed=4)
    together = beam_search(table.begun(range(rows)), options(asked), limit, True, widest, widest)
    for row, question in list(enumerate(asked))[::2]:
        alone = beam_search(table.begun([row]), options([question]), limit, True, widest, widest)
        wanted = question.hypotheses
        assert found_in(alone, 0)[:wanted] == found_in(together, row)[:wanted]


@pytest.mark.parametrize("covers", [False, True])
def test_a_beam_of_one_is_greedy_and_greedy_takes_the_likeliest(covers):
    limit, rows = 5, 12
    asked = random_questions(5, rows, limit, 1)
    if not covers:
        asked = [Asked(a.limit, a.shortest, 1, 1, a.alpha, 0.0, prefix=a.prefix) for a in asked]
    table = Table(rows, VOCABULARY, limit, seed=5)
    greedy = greedy_search(table.begun(range(rows)), options(asked), limit, covers)
    narrow = beam_search(table.begun(range(rows)), options(asked), limit, covers, 1, 1)
    assert greedy.scores_BN.shape == (rows, 1)
    for one, other in zip(greedy, narrow, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for row, question in enumerate(asked):
        ids = brute_force.greedy(table, row, question)
        expected = [(brute_force.score(table, row, ids, question), ids)]
        agree(found_in(greedy, row), expected, table, row)


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_to_look_at_coverage_without_a_penalty_changes_nothing(search):
    asked = [Asked(5, beam=3, hypotheses=3, alpha=1.0)] * 4
    table = Table(4, VOCABULARY, 5, seed=6)
    extra = () if search == "greedy" else (3, 3)
    function = greedy_search if search == "greedy" else beam_search
    one, other = (
        function(table.begun(range(4)), options(asked), 5, covers, *extra)
        for covers in (False, True)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_to_ask_for_one_gives_the_first_of_many():
    rows = 24
    table = Table(rows, VOCABULARY, 6, seed=7)
    one, many = (
        beam_search(
            table.begun(range(rows)),
            options([Asked(6, 0, 4, n, alpha, 0.3) for alpha in (0.0, 1.0, 3.0)] * (rows // 3)),
            6,
            True,
            4,
            n,
        )
        for n in (1, 4)
    )
    np.testing.assert_array_equal(one.ids_BNL[:, 0], many.ids_BNL[:, 0])
    np.testing.assert_array_equal(one.scores_BN[:, 0], many.scores_BN[:, 0])


@pytest.mark.skipif(not ON_TENSORFLOW, reason="counts the steps it takes")
def test_a_search_stops_when_nothing_can_beat_what_it_has():
    table = Table(3, VOCABULARY, 6, seed=8)
    table.logits[..., features.EOS] += 12.0  # to end is nearly certain

    def steps(hypotheses):
        begun, count = table.begun(range(3)), []

        def step(*arguments):
            count.append(1)
            return begun.step(*arguments)

        asked = [Asked(6, beam=4, hypotheses=hypotheses)] * 3
        beam_search(begun._replace(step=step), options(asked), 6, False, 4, 4)
        return len(count)

    assert steps(1) == 1
    assert 1 < steps(2) < 6


@pytest.mark.parametrize("margin", [0.002, -0.002])
def test_a_search_goes_on_as_long_as_a_prefix_can_win_and_no_longer(margin):
    """To end at once scores -1. Three words, of which the second costs much, score -1 + margin.

    What remains after the second word is certain, so that what it can still
    reach is what it will reach.
    """
    first, total = np.log(1 - np.exp(-1.0)), 1.5 * (margin - 1)  # ((5 + 4) / 6)^1 = 1.5
    second = np.exp(total - first)
    words = np.full(45, (1 - second) / 41)  # the others share the rest
    words[3], words[: features.EOS + 1] = second, 0.0
    likelihoods = np.zeros((4, 45))
    likelihoods[0, [features.EOS, 3]] = np.exp(-1.0), np.exp(first)
    likelihoods[1], likelihoods[2, 3], likelihoods[3, features.EOS] = words, 1.0, 1.0
    logits, steps = ops.convert_to_tensor(np.log(likelihoods + 1e-30).astype("float32")), []

    def step(ids, place, source):
        steps.append(1)
        return ops.take(logits, place, axis=0), place + 1, source

    begun = Begun(step, ops.zeros((1,), "int32"), ops.zeros((1, 1)), np.ones((1, 1), bool))
    found = beam_search(begun, options([Asked(4, 0, 2, 1, 1.0)]), 4, False, 2, 1)
    ((score, _, ids),) = found_in(found, 0)
    assert ids == ((3, 3, 3, features.EOS) if margin > 0 else (features.EOS,))
    assert score == pytest.approx(-1 + max(margin, 0), abs=1e-4)
    if ON_TENSORFLOW:  # elsewhere the loop is traced, and a step does not count itself
        assert len(steps) == (4 if margin > 0 else 2)


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_every_hypothesis_ends_with_eos_within_its_limits(search):
    rows, limit = 20, 5
    asked = random_questions(9, rows, limit, 4)
    table = Table(rows, VOCABULARY, limit, seed=9)
    begun, question = table.begun(range(rows)), options(asked)
    if search == "greedy":
        found = greedy_search(begun, question, limit, True)
    else:
        found = beam_search(begun, question, limit, True, 4, 4)
    for row, a in enumerate(asked):
        assert found_in(found, row)
        for *_, ids in found_in(found, row):
            assert ids[-1] == features.EOS
            assert not {features.PAD, features.BOS, features.EOS} & set(ids[:-1])
            assert ids[: len(a.prefix)] == a.prefix
            assert min(max(a.shortest, len(a.prefix)) + 1, a.limit) <= len(ids) <= a.limit


# On models.


QUICK = ["default", "gnmt2016", "transformer2017", "pointer"]
every_kind = pytest.mark.parametrize("kind", slow_but([*QUICK, "bahdanau2015", "cho2014"], QUICK))


class Network:
    """A model of few words, under the interface of `Table`: by teacher forcing."""

    def __init__(self, kind):
        self.model = randomize(new(config_of(kind), VOCABULARY, VOCABULARY), scale=2.5)
        self.sources = np.array([[3, 4, 5, 2], [5, 2, 0, 0], [4, 4, 2, 0]], "int32")
        self.vocabulary = VOCABULARY
        self.known = {}

    def begun(self, rows, max_length):
        encoded = self.model.encoder(self.sources[np.array(rows)], training=False)
        state, source = self.model.decoder.begin(encoded, max_length)
        return Begun(self.model.decoder.step, state, source, encoded.mask_BS)

    def learn(self, pairs):
        """Scores hypotheses of sources, all in one pass."""
        longest = max(len(ids) for _, ids in pairs)
        targets = np.zeros((len(pairs), longest), "int32")
        for target, (_, ids) in zip(targets, pairs, strict=True):
            target[: len(ids)] = features.BOS, *ids[:-1]
        sources = self.sources[[row for row, _ in pairs]]
        logits, weights = scored(self.model, sources, targets)
        log_probs = brute_force.log_softmax(logits)
        for i, (row, ids) in enumerate(pairs):
            real = self.sources[row] != features.PAD
            for t in range(len(ids)):
                self.known[row, ids[:t]] = log_probs[i, t], weights[i, t][real].astype("float64")

    def log_probs(self, row, prefix):
        return self.known[row, prefix][0]

    def attention(self, row, prefix):
        return self.known[row, prefix][1]


@functools.cache
def network(kind):
    made = Network(kind)
    hypotheses = list(brute_force.every_hypothesis(Asked(LIMIT), VOCABULARY))
    assert len(hypotheses) == EVERY
    made.learn([(row, ids) for row in range(3) for ids in hypotheses])
    return made


@pytest.mark.parametrize("kind", slow_but(KINDS, ["default", "gnmt2016"]))
def test_a_wide_beam_over_a_model_finds_what_enumeration_finds(kind):
    model = network(kind)
    covers = model.model.has_attention
    asked = [
        Asked(LIMIT, beam=WIDE, hypotheses=EVERY, alpha=alpha, beta=beta)
        for alpha, beta in PENALTIES
        if covers or not beta
    ]
    asked.append(Asked(LIMIT, 1, WIDE, EVERY, 0.5, prefix=(4,)))
    rows = [row for row in range(3) for _ in asked]
    found = beam_search(model.begun(rows, LIMIT), options(asked * 3), LIMIT, covers, WIDE, EVERY)
    for i, row in enumerate(rows):
        question = asked[i % len(asked)]
        agree(found_in(found, i), brute_force.enumerated(model, row, question), model, row)


@every_kind
def test_beams_over_a_model_find_what_a_beam_of_python_finds(kind):
    model = network(kind)
    covers = model.model.has_attention
    asked = [Asked(LIMIT, beam=w, hypotheses=w, alpha=0.6, beta=0.3 * covers) for w in (1, 2, 4)]
    rows = [row for row in range(3) for _ in asked]
    found = beam_search(model.begun(rows, LIMIT), options(asked * 3), LIMIT, covers, 4, 4)
    for i, row in enumerate(rows):
        question = asked[i % len(asked)]
        answer = found_in(found, i)[: question.hypotheses]
        agree(answer, brute_force.beam(model, row, question), model, row)


@pytest.mark.parametrize("kind", slow_but(["gnmt2016", "transformer2017"], []))
def test_long_answers_have_the_log_probability_of_teacher_forcing_and_no_batch(kind):
    model, limits = Network(kind), (8, 4, 5)
    asked = [Asked(n, n - 2, 2, 2, 0.6, 0.2, prefix=(4, 5)[: n % 2]) for n in limits]
    together = beam_search(model.begun(range(3), 9), options(asked), 9, True, 2, 2)
    for row, question in enumerate(asked):
        found = found_in(together, row)
        assert len(found) == 2 and all(len(ids) >= question.limit - 1 for *_, ids in found)
        model.learn([(row, ids) for *_, ids in found])
        expected = [(brute_force.score(model, row, ids, question), ids) for *_, ids in found]
        agree(found, expected, model, row)
    model.sources = model.sources[:, :2]  # without the padding that the others need
    alone = beam_search(model.begun([1], 6), options(asked[1:2]), 6, True, 2, 2)
    assert [ids for *_, ids in found_in(alone, 0)] == [ids for *_, ids in found_in(together, 1)]
    np.testing.assert_allclose(alone.scores_BN[0], together.scores_BN[1], atol=1e-5)


def test_a_place_that_stays_empty_is_the_lowest_finite_number():
    table = Table(1, VOCABULARY, LIMIT)
    found = beam_search(table.begun([0]), options([Asked(1, hypotheses=3)]), LIMIT, False, 4, 3)
    np.testing.assert_array_equal(found.ids_BNL, [[[features.EOS, 0, 0, 0], [0] * 4, [0] * 4]])
    assert np.isfinite(ops.convert_to_numpy(found.scores_BN)).all()
    np.testing.assert_array_equal(found.scores_BN[0][1:], np.float32(IMPOSSIBLE))
    np.testing.assert_array_equal(found.log_probs_BN[0][1:], np.float32(IMPOSSIBLE))
