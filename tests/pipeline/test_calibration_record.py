"""A run says of the margins that it was judged by whether they were measured for its job."""

import pytest

from seq2seq_tfx.components.calibration import Calibration
from seq2seq_tfx.pipeline.calibration_record import (
    FOLDER,
    RECORD,
    told_of_margins,
    write_calibrations,
)
from seq2seq_tfx.pipeline.config import load_config

JOB = """\
name: job
data: {input: pairs.tsv}
training: {epochs: 3, seed: 1}
evaluation: {metrics: [bleu, chrf]}
gate: {thresholds: {bleu: {min: 1.0}}, max_loss: {bleu: 0.5, chrf: 2.0}}
"""
COMPARED = {"baseline": {"bleu": 20.0}}


@pytest.fixture
def told(tmp_path):
    """What a run of a job says after a calibration of `JOB`; None measures nothing."""

    def job(text):
        path = tmp_path / "job.yaml"
        path.write_text(text)
        return load_config(path, files=False)

    def told(suggested, text=JOB, verdict=COMPARED):
        (tmp_path / FOLDER).mkdir(exist_ok=True)
        found = [
            Calibration(name, [20.0] * 3, 6, 0.0, 0.5, margin) for name, margin in suggested.items()
        ]
        write_calibrations(job(JOB), tmp_path, range(1, 4), found)
        return told_of_margins(job(text), tmp_path, verdict)

    told.record = tmp_path / FOLDER / RECORD
    return told


def test_margins_that_leave_room_for_the_measured_spread_need_no_word(told):
    assert told({"bleu": 0.5, "chrf": 1.9}) == []


def test_a_margin_narrower_than_the_spread_is_told_with_what_it_takes(told):
    bleu, chrf = told({"bleu": 0.71, "chrf": None})
    assert "the margin 0.5 of bleu is narrow: by 3 seeds it takes 0.71 to let 95%" in bleu
    assert "by 3 seeds no margin lets 95%" in chrf


def test_a_margin_that_was_not_measured_is_told_with_the_command_that_does(told):
    (note,) = told({"bleu": 0.1})
    assert "the margin of chrf was not measured" in note and "seq2seq gate calibrate" in note


@pytest.mark.parametrize("content", [None, "", "[]", '{"seeds": [1], "metrics": []}'])
def test_without_a_record_that_can_be_read_nothing_counts_as_measured(told, content):
    told({"bleu": 0.1, "chrf": 0.1})
    told.record.unlink()
    if content is not None:
        told.record.write_text(content)
    config = load_config(told.record.parent.parent / "job.yaml", files=False)
    (note,) = told_of_margins(config, told.record.parent.parent, COMPARED)
    assert "the margin of bleu, chrf was not measured" in note


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        (("seed: 1", "seed: 7"), True),
        (("min: 1.0", "min: 3.0"), True),
        (("epochs: 3", "epochs: 4"), False),
        (("pairs.tsv", "others.tsv"), False),
        (("max_loss", "confidence: 0.9, max_loss"), False),
    ],
)
def test_what_was_measured_holds_for_the_same_job_whatever_its_seed(told, changed, holds):
    assert (told({"bleu": 0.1, "chrf": 0.1}, JOB.replace(*changed)) == []) == holds


def test_a_first_model_was_compared_with_none(told):
    assert told({}, verdict={"baseline": None}) == []
