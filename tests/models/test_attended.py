"""Where hypotheses looked, as search tells who watches it, against sums by plain Python."""

import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.attended import Attended
from seq2seq_tfx.models.search import beam_search, greedy_search, sample

from .brute_force import Asked, Table, found_in, options

LIMIT, ROWS, PLACES = 5, 16, 3


def searched(kind, table, asked, covers, watches):
    question = (table.begun(range(ROWS)), options(asked), LIMIT, covers)
    if kind == "greedy":
        return greedy_search(*question, watches)
    if kind == "beam":
        return beam_search(*question, 4, PLACES, watches)
    uniforms = np.random.default_rng(3).uniform(size=(ROWS, PLACES, LIMIT)).astype("float32")
    return sample(*question, ops.convert_to_tensor(uniforms), watches)


@pytest.mark.parametrize("beta", [0.0, 0.4])
@pytest.mark.parametrize("kind", ["greedy", "beam", "sample"])
def test_who_watches_a_search_is_told_where_each_hypothesis_looked(kind, beta):
    table = Table(ROWS, 6, LIMIT, seed=4)
    asked = [Asked(2 + row % 4, row % 3, 4, PLACES, 1.0, beta) for row in range(ROWS)]
    found, unwatched = (
        searched(kind, table, asked, beta > 0, watches) for watches in (True, False)
    )
    assert unwatched.attended == Attended()
    lengths = set()
    for row in range(ROWS):
        hypotheses = found_in(found, row)
        assert hypotheses == found_in(unwatched, row)
        for place, (*_, ids) in enumerate(hypotheses):
            lengths.add(len(ids))
            given = np.array([table.attention(row, ids[:t]) for t in range(len(ids))])
            expected = (
                given.sum(axis=0),
                given[:-1].sum(axis=0),
                -(given * np.log(given)).sum(axis=0),
            )
            for one, other in zip(found.attended, expected, strict=True):
                told = ops.convert_to_numpy(one)[row, place]
                np.testing.assert_allclose(told[table.mask[row]], other, atol=1e-5)
                assert not told[~table.mask[row]].any()
    assert lengths == set(range(1, LIMIT + 1))
