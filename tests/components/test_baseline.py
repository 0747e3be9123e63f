"""The promises of the baseline: the last blessed model older than the candidate, or none."""

import itertools

import pytest
from tfx.types import standard_artifacts

from seq2seq_tfx.components.baseline import BeforeCandidate


def model(number):
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(number, of, blessed):
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("current_model_id", of)
    artifact.set_int_custom_property("blessed", int(blessed))
    return artifact


def resolve(candidate, models, blessings):
    """What stays of model and blessing, as ids, in whatever order the store gives them."""
    answers = set()
    for order, other in itertools.product(*map(itertools.permutations, (models, blessings))):
        candidates = [] if candidate is None else [model(candidate)]
        kept = BeforeCandidate().resolve_artifacts(
            None,
            {
                "candidate": candidates,
                "model": [model(number) for number in order],
                "model_blessing": [blessing(*one) for one in other],
            },
        )
        assert kept["candidate"] == candidates
        answers.add(tuple(tuple(a.id for a in kept[key]) for key in ("model", "model_blessing")))
    (answer,) = answers
    return answer


NONE = ((), ())


@pytest.mark.parametrize(
    ("models", "blessings", "expected"),
    [
        ([9], [], NONE),  # the first model
        ([9], [(10, 9, True)], NONE),  # the candidate came from the cache, long blessed
        ([3, 9], [], NONE),
        ([3, 9], [(4, 3, False)], NONE),
        ([3, 9], [(4, 3, True)], ((3,), (4,))),
        ([3, 5, 9], [(4, 3, True), (6, 5, True)], ((5,), (6,))),
        ([3, 5, 9], [(4, 3, True), (6, 5, False), (10, 9, True)], ((3,), (4,))),
        ([3, 9, 11], [(4, 3, True), (12, 11, True)], ((3,), (4,))),  # one is newer
        ([9, 11], [(12, 11, True)], NONE),
        ([3, 5, 9], [(4, 3, True), (6, 5, True), (8, 5, False)], ((3,), (4,))),  # withdrawn
        ([3, 9], [(4, 3, False), (8, 3, True)], ((3,), (8,))),  # given after all
        ([9], [(4, 3, True)], NONE),  # what was blessed is there no longer
    ],
)
def test_the_baseline_is_the_last_older_model_that_stands_blessed(models, blessings, expected):
    assert resolve(9, models, blessings) == expected


def test_without_a_candidate_there_is_no_baseline():
    assert resolve(None, [3], [(4, 3, True)]) == NONE
