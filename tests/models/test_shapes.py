"""Any shape at all: whatever the lengths and rows, two ways to the same answer."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops

from seq2seq_tfx.models import features
from seq2seq_tfx.models.search import Begun, beam_search

from .brute_force import Asked, found_in, log_softmax, options
from .tiny import scored, slow_but, tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis"),
]

every_kind = pytest.mark.parametrize(
    "kind",
    slow_but(
        ["default", "luong2015", "transformer2017", "pointer"], ["transformer2017", "pointer"]
    ),
)

# The same examples in every run. None is kept: a failure shows its own.
few = settings(
    max_examples=3,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
many = settings(few, max_examples=40)


def words(longest):
    return st.lists(st.integers(3, 8), max_size=longest)


def pairs(rows, source, target):
    return st.lists(st.tuples(words(source), words(target)), min_size=1, max_size=rows)


def padded(rows):
    longest = max(map(len, rows))
    return np.array([[*row, *[features.PAD] * (longest - len(row))] for row in rows], "int32")


def prove(kind, pairs):
    """Steps equal the whole pass, and a row alone equals the row in its batch."""
    model = tiny(kind)
    sources = [[*source, features.EOS] for source, _ in pairs]
    targets = [[features.BOS, *target] for _, target in pairs]
    logits, weights = scored(model, padded(sources), padded(targets))
    assert logits.shape == (len(pairs), max(map(len, targets)), 11)
    assert np.isfinite(logits).all() and np.isfinite(weights).all()

    encoded = model.encoder(padded(sources), training=False)
    state, source = model.decoder.begin(encoded, logits.shape[1])
    for t, ids in enumerate(padded(targets).T):
        step, state, attention = model.decoder.step(ids, state, source)
        np.testing.assert_allclose(step, logits[:, t], atol=5e-5)
        np.testing.assert_allclose(attention, weights[:, t], atol=5e-5)

    row = len(pairs) - 1
    alone, attention = scored(model, padded(sources[row:]), padded(targets[row:]))
    places = len(targets[row])
    np.testing.assert_allclose(alone[0], logits[row, :places], atol=5e-5)
    np.testing.assert_allclose(attention[0], weights[row, :places, : len(sources[row])], atol=5e-5)


@every_kind
@few
@given(pairs=pairs(3, 6, 5))
def test_steps_equal_the_whole_pass_and_a_row_its_batch(kind, pairs):
    prove(kind, pairs)


@every_kind
@many
@given(pairs=pairs(6, 40, 24))
def test_steps_equal_the_whole_pass_and_a_row_its_batch_at_any_length(kind, pairs):
    prove(kind, pairs)


@every_kind
@pytest.mark.parametrize(
    "pairs",
    [
        [([], [])],
        [([5], [])],
        [([], [4, 4, 4])],
        [([], []), ([], [])],
        [([5] * 70, [4] * 9), ([], [4])],
    ],
    ids=["nothing", "one_token", "eos_alone", "eos_alone_twice", "longer_than_any_before"],
)
def test_the_edges_are_no_exception(kind, pairs):
    if kind != "transformer2017" and len(pairs[0][0]) > 10:
        pairs = [(pairs[0][0][:12], pairs[0][1][:6]), *pairs[1:]]  # recurrence does not mind
    prove(kind, pairs)


@pytest.mark.parametrize("kind", slow_but(["default", "transformer2017"], ["transformer2017"]))
@few
@given(
    source=words(8),
    width=st.integers(1, 4),
    limit=st.integers(1, 5),
    room=st.integers(0, 3),
    alpha=st.sampled_from([0.0, 1.0]),
)
def test_search_gives_true_log_probabilities_whatever_room_there_is(
    kind, source, width, limit, room, alpha
):
    model, ids = tiny(kind), np.array([[*source, features.EOS]], "int32")
    encoded = model.encoder(ids, training=False)
    # More room than is needed, as in an export, where the longest of all sources has its place.
    state, begun_source = model.decoder.begin(encoded, limit + room)
    begun = Begun(model.decoder.step, state, begun_source, encoded.mask_BS)
    asked = Asked(limit, 0, width, width, alpha)
    found = found_in(beam_search(begun, options([asked]), limit + room, False, width, width), 0)
    assert found
    targets = padded([[features.BOS, *hypothesis[:-1]] for *_, hypothesis in found])
    logits, _ = scored(model, ids.repeat(len(found), axis=0), targets)
    log_probs = log_softmax(ops.convert_to_numpy(logits))
    for row, (score, log_prob, hypothesis) in enumerate(found):
        assert hypothesis[-1] == features.EOS and len(hypothesis) <= limit
        own = sum(log_probs[row, t, token] for t, token in enumerate(hypothesis))
        assert log_prob == pytest.approx(own, abs=1e-4)
        assert score == pytest.approx(own / ((5 + len(hypothesis)) / 6) ** alpha, abs=1e-4)
