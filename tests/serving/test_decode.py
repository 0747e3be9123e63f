"""Options of a request: each does what it says, for its own row."""

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.decode_options import INPUTS

from .asking import (
    NAMES,
    REAL,
    TEXTS,
    UNKNOWN,
    ask,
    assert_same,
    decode,
    eagerly,
    forced,
    gnmt_score,
    hypotheses,
    ids_of,
    log_prob_of,
    refusal,
    rows_of,
    variant,
)

pytestmark = [pytest.mark.slow, pytest.mark.modern]  # five exports

K = 3  # hypotheses of the export
TEXT = "brown the quick fox the"
# What the configuration has as well, and what a request of each kind asks for.
ASKED = [
    {},
    {"beam_size": 1},
    {"beam_size": 2},
    {"length_penalty": 0.0},
    {"length_penalty": 5.0},
    {"coverage_penalty": 0.5},
    {"max_length": 1},
    {"max_length": 4},
    {"min_length": 7},
    {"beam_size": 2, "min_length": 3, "max_length": 5, "coverage_penalty": 2.0},
    {"temperature": 1.0, "seed": 3},
    {"temperature": 2.5, "seed": 2**31 - 1, "beam_size": 2},
    {"temperature": 3.0, "top_k": 2},
    {"temperature": 3.0, "top_p": 0.3, "min_length": 2, "coverage_penalty": 1.0},
    {"beam_size": 1, "temperature": 2.0, "max_length": 3},
]
CONFIGURED = [2, 4, 9, 13]  # some of them


def names(asked):
    return "-".join(f"{name}={value}" for name, value in asked.items()) or "nothing"


def in_one_batch(exported, rows, text=TEXT):
    """One request, each row with options of its own."""
    options = {
        spec.name: [row.get(spec.name, "" if spec.dtype == tf.string else -1) for row in rows]
        for spec in INPUTS[1:]
    }
    return decode(exported, [row.get("text", text) for row in rows], **options)


@pytest.fixture(scope="module")
def together(exported):
    return in_one_batch(exported, ASKED)


def test_a_request_that_asks_for_nothing_is_answered_as_nbest_is(exported):
    assert_same(decode(exported, TEXTS), ask(exported, TEXTS, features.NBEST_SIGNATURE))


@pytest.mark.parametrize(
    "search",
    [
        {"beam_size": 1, "max_beam_size": 4},
        {"beam_size": 2, "max_beam_size": 4, "coverage_penalty": 0.3, "min_length": 2},
        # A default is never refused.
        {"beam_size": 2, "max_beam_size": 4, "temperature": 1.5, "top_p": 1e-7, "seed": 11},
    ],
    ids=names,
)
def test_defaults_are_those_of_the_export(exported, search):
    predictor, texts = variant(exported.predictor, **search), [TEXT, "", "x"]
    found = eagerly(predictor, "decode", texts)
    assert_same(found, eagerly(predictor, "nbest", texts))
    assert [len(row) for row in hypotheses(found)] == [search["beam_size"], 1, search["beam_size"]]
    assert found[features.TEXT].shape == (3, 4)


def test_a_default_gives_way_to_what_is_asked_for(exported):
    patient = variant(exported.predictor, min_length=6)
    found = hypotheses(eagerly(patient, "decode", REAL[:3], max_length=3))
    assert {len(ids_of(exported, text)) for row in found for text, *_ in row} == {3}


def test_the_one_answer_of_an_export_that_draws_is_the_first_draw(exported):
    predictor = variant(exported.predictor, temperature=2.0, seed=4)
    best = eagerly(predictor, "best", REAL)
    one = decode(exported, REAL, temperature=2.0, seed=4, hypotheses=1)
    assert_same(best, {name: values[:, 0] for name, values in one.items()}, atol=1e-4)


@pytest.mark.parametrize("number", range(1, len(ASKED)), ids=[names(asked) for asked in ASKED[1:]])
def test_a_row_is_answered_as_it_would_be_alone(exported, together, number):
    alone = decode(exported, [TEXT], **ASKED[number])
    assert_same(rows_of(together, number), alone)
    # Which is something else than it would be if nothing were asked for.
    assert not np.array_equal(alone[features.SCORE], together[features.SCORE][:1])


@pytest.mark.parametrize("number", CONFIGURED, ids=[names(ASKED[number]) for number in CONFIGURED])
def test_a_row_gets_what_an_export_configured_so_would_give(exported, together, number):
    configured = variant(exported.predictor, max_beam_size=K, **ASKED[number])
    expected = eagerly(configured, "nbest", [TEXT])
    assert_same(rows_of(together, number), expected, atol=1e-4)


def test_every_answer_is_scored_by_the_formula_of_its_own_row(exported, together):
    found = [
        (asked, *answer)
        for asked, answers in zip(ASKED, hypotheses(together), strict=True)
        for answer in answers
    ]
    ids = [ids_of(exported, answer) for _, answer, *_ in found]
    outputs = forced(exported, [(TEXT, target) for target in ids])
    for (asked, _, score, log_prob), target, (log_probs, attention) in zip(
        found, ids, outputs, strict=True
    ):
        expected = log_prob_of(log_probs, target)
        alpha, beta = asked.get("length_penalty", 0.7), asked.get("coverage_penalty", 0.0)
        assert log_prob == pytest.approx(expected, abs=1e-4)
        assert score == pytest.approx(
            gnmt_score(expected, len(target), attention, alpha, beta), abs=1e-3
        )
        assert asked.get("min_length", 0) < len(target) <= asked.get("max_length", 8)


def test_without_a_length_penalty_the_likeliest_comes_first(exported):
    found = decode(exported, REAL, length_penalty=0.0)
    np.testing.assert_array_equal(found[features.SCORE], found[features.LOG_PROB])
    assert (np.diff(found[features.LOG_PROB]) <= 0).all()


def test_a_coverage_penalty_only_lowers_scores(exported):
    plain, covered = (
        decode(exported, REAL, coverage_penalty=beta, hypotheses=1) for beta in (0.0, 0.5)
    )
    lower = covered[features.SCORE][:, 0] - plain[features.SCORE][:, 0]
    assert (lower <= 0).all() and (lower < -1).sum() >= 4


@pytest.fixture(scope="module")
def greedy_ids(exported):
    """The likeliest token at every step, with one pass of the network for each."""
    found = [[] for _ in REAL]
    for last in [False] * 7 + [True]:
        pairs = [(text, [*ids, features.PAD]) for text, ids in zip(REAL, found, strict=True)]
        for ids, (log_probs, _) in zip(found, forced(exported, pairs), strict=True):
            log_probs[-1, [features.PAD, features.BOS]] = -np.inf
            if features.EOS not in ids:
                ids.append(features.EOS if last else int(log_probs[-1].argmax()))
    return found


@pytest.mark.parametrize(
    "asked",
    [
        {"beam_size": 1},
        {"beam_size": 1, "length_penalty": 5.0},
        {"temperature": 5.0, "top_k": 1, "hypotheses": 1},
        {"temperature": 5.0, "top_p": 1e-6, "hypotheses": 1},
        {"temperature": 1e-6, "hypotheses": 1},
    ],
    ids=names,
)
def test_a_beam_of_one_and_draws_from_one_token_are_greedy(exported, greedy_ids, asked):
    found = hypotheses(decode(exported, REAL, **asked))
    assert [[ids_of(exported, text) for text, *_ in row] for row in found] == [
        [ids] for ids in greedy_ids
    ]


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_fewer_hypotheses_are_the_first_of_more(exported, wanted):
    found, all_of_them = decode(exported, REAL, hypotheses=wanted), decode(exported, REAL)
    assert_same(
        *({name: values[:, :wanted] for name, values in x.items()} for x in (found, all_of_them))
    )
    assert {len(row) for row in hypotheses(found)} == {wanted}


# Prefixes.


@pytest.mark.parametrize(
    ("prefix", "spelled"),
    [
        ("d", "d"),
        ("ß学ö", "ß学ö"),
        ("abcdeab", "abcdeab"),
        ("azz学", f"a{UNKNOWN}学"),  # a run of what is unknown is one token
        ("</s>", f"{UNKNOWN}"),
        ("<pad>a", f"{UNKNOWN}ad{UNKNOWN}a"),
        ("\uff41b", "ab"),  # by NFKC, as all text
    ],
)
def test_an_answer_begins_with_its_prefix_and_is_scored_whole(exported, prefix, spelled):
    options = [
        {},
        {"beam_size": 1},
        {"temperature": 2.0},
        {"coverage_penalty": 1.0, "length_penalty": 0.0},
    ]
    rows = [{"text": text, "prefix": prefix, **asked} for text in REAL for asked in options]
    found = hypotheses(in_one_batch(exported, rows))
    checked = [(row["text"], *a) for row, answers in zip(rows, found, strict=True) for a in answers]
    assert all(found)
    pairs = [(text, ids_of(exported, answer)) for text, answer, *_ in checked]
    for (_, answer, _, log_prob), (_, ids), (log_probs, _) in zip(
        checked, pairs, forced(exported, pairs), strict=True
    ):
        assert answer.startswith(spelled)
        assert log_prob == pytest.approx(log_prob_of(log_probs, ids), abs=1e-4)


def test_a_greedy_answer_goes_on_alike_from_any_of_its_beginnings(exported, greedy_ids):
    rows = []
    for text, ids in zip(REAL, greedy_ids, strict=True):
        answer = decode(exported, [text], beam_size=1)[features.TEXT][0, 0].decode()
        rows += [
            {"text": text, "prefix": answer[:length], "beam_size": 1, "of": ids}
            for length in range(len(answer) if UNKNOWN not in answer else 1)
        ]
    found = hypotheses(in_one_batch(exported, rows))
    assert len(rows) >= 15
    assert [ids_of(exported, row[0][0]) for row in found] == [row["of"] for row in rows]


@pytest.mark.parametrize("prefix", ["", " ", "\t\u3000", "▁"])
def test_a_prefix_of_white_space_asks_for_nothing(exported, prefix):
    assert_same(decode(exported, TEXTS, prefix=prefix), decode(exported, TEXTS))


def test_a_prefix_may_be_longer_than_the_ratio_allows_but_not_than_max_length(exported):
    roomy = variant(exported.predictor, max_length=15, max_length_ratio=0.1)
    (found,) = hypotheses(eagerly(roomy, "decode", ["x"], prefix="abcdeabcdeab"))
    assert [text for text, *_ in found] == ["abcdeabcdeab"]  # which leaves place for EOS alone
    with pytest.raises(tf.errors.InvalidArgumentError, match="15 in row 0, received 15"):
        eagerly(roomy, "decode", ["x"], prefix="abcde" * 3)


# Draws.


def drawn(exported, seeds, **options):
    """The one answer drawn for each seed."""
    found = hypotheses(decode(exported, [TEXT] * len(seeds), seed=seeds, hypotheses=1, **options))
    return [row[0][0] for row in found]


def test_a_seed_decides_the_draw_whatever_else_is_in_the_batch(exported):
    seeds = list(range(12))
    answers = drawn(exported, seeds, temperature=2.0)
    assert len(set(answers)) >= 10
    assert drawn(exported, seeds[::-1] * 2, temperature=2.0) == answers[::-1] * 2
    assert [drawn(exported, [seed], temperature=2.0)[0] for seed in seeds] == answers
    others = [{"beam_size": 2}, {"temperature": 9.0, "seed": 4, "text": "x"}, {"text": ""}]
    mixed = hypotheses(
        in_one_batch(
            exported,
            [*others, {"temperature": 2.0, "seed": 5, "hypotheses": 1}, {"prefix": "ab"}],
        )
    )
    assert mixed[3][0][0] == answers[5]


def test_searched_and_drawn_rows_stand_side_by_side(exported):
    rows = [{"temperature": 2.0 if row % 2 else -1.0, "seed": row} for row in range(6)]
    found = in_one_batch(exported, rows)
    for number, row in enumerate(rows):
        assert_same(rows_of(found, number), decode(exported, [TEXT], **row))
    searched = decode(exported, [TEXT])
    for number in (0, 2, 4):
        assert_same(rows_of(found, number), searched)
    assert not np.array_equal(found[features.TEXT][1], found[features.TEXT][3])


def test_fewer_draws_are_some_of_more_and_not_the_best_of_them(exported):
    seeds = list(range(30))
    one, three = (
        hypotheses(decode(exported, [TEXT] * 30, seed=seeds, temperature=2.0, hypotheses=n))
        for n in (1, 3)
    )
    assert {len(row) for row in one} == {1} and {len(row) for row in three} == {3}
    places = [
        [text for text, *_ in many].index(row[0][0]) for row, many in zip(one, three, strict=True)
    ]
    assert set(places) == {0, 1, 2}


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0},
        {"temperature": 3.0},
        {"temperature": 3.0, "top_k": 4},
        {"temperature": 2.0, "top_p": 0.6},
        {"temperature": 4.0, "top_k": 6, "top_p": 0.7},
    ],
    ids=names,
)
def test_what_is_drawn_follows_the_distribution_asked_for(exported, options):
    """Of the first token, against NumPy."""
    count = 800
    answers = drawn(exported, list(range(count)), max_length=2, **options)
    ((log_probs, _),) = forced(exported, [(TEXT, [features.PAD])])
    allowed = log_probs[0].copy()
    allowed[[features.PAD, features.BOS]] = -np.inf
    probs = np.exp(allowed / options["temperature"])
    order = np.argsort(-probs)
    probs = probs[order] / probs.sum()
    kept = np.cumsum(probs) - probs < options.get("top_p", 1.0)
    kept &= np.arange(len(probs)) < options.get("top_k", len(probs))
    probs = np.where(kept, probs, 0) / probs[kept].sum()
    assert (probs > 0).sum() >= 2
    first = [ids_of(exported, answer)[0] for answer in answers]
    share = np.bincount(first, minlength=len(probs))[order] / count
    deviation = np.sqrt(probs * (1 - probs) / count)
    np.testing.assert_array_less(np.abs(share - probs), 4 * deviation + 1e-9)


def test_an_empty_source_is_answered_alike_whatever_is_asked(exported):
    rows = [{**asked, "text": text} for asked in [*ASKED, {"prefix": "ab"}] for text in ("", " ")]
    found = in_one_batch(exported, rows)
    assert_same(found, decode(exported, [""] * len(rows)), atol=0)
    assert hypotheses(found) == [[("", 0.0, 0.0)]] * len(rows)
    refusal(exported, [""], beam_size=9)


def test_a_model_without_attention_refuses_a_coverage_penalty(plain):
    with pytest.raises(tf.errors.InvalidArgumentError, match="or 0 to 0 in row 0"):
        eagerly(plain, "decode", ["the fox"], coverage_penalty=0.1)
    assert_same(eagerly(plain, "decode", REAL), eagerly(plain, "nbest", REAL))
    assert set(eagerly(plain, "decode", [], prefix=[])) == set(NAMES)
