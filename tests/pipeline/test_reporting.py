"""The promises of the summary in the terminal: it tells what the gate found."""

import pytest

from seq2seq_tfx.components.judgement import Rule
from seq2seq_tfx.pipeline import reporting


@pytest.mark.parametrize(
    ("confidence", "told"), [(0.95, "95%"), (0.975, "97.5%"), (1 - 0.05 / 100, "99.95%")]
)
def test_a_confidence_is_not_rounded_to_a_higher_one(confidence, told):
    rule = Rule(
        "bleu less than 1 worse", "non-inferiority", "bleu", "test split", 9, 0.1, 1.0, 0.5,
        confidence, 0.01, True,
    )  # fmt: skip
    assert f"with {told} confidence below 0.5000" in reporting._rule(rule._asdict())
