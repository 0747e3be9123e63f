"""Which report the pairs of a run are compared with."""

import itertools

import pytest
from tfx.types import standard_artifacts

from seq2seq_tfx.components.artifacts import BitextReport
from seq2seq_tfx.components.previous_span import BeforeExamples


def artifact(kind, number):
    made = kind()
    made.id = number
    return made


@pytest.mark.parametrize(
    ("examples", "reports", "expected"),
    [
        (1, [], []),  # the first span
        (1, [2], []),  # the same examples again: the report is theirs
        (3, [2], [2]),
        (3, [2, 4], [2]),
        (9, [2, 4, 10], [4]),
        (None, [2], []),
    ],
)
def test_it_is_the_newest_that_was_there_before_the_examples(examples, reports, expected):
    for order in itertools.permutations(reports):
        given = [] if examples is None else [artifact(standard_artifacts.Examples, examples)]
        kept = BeforeExamples().resolve_artifacts(
            None, {"examples": given, "report": [artifact(BitextReport, i) for i in order]}
        )
        assert kept["examples"] == given
        assert [report.id for report in kept["report"]] == expected
