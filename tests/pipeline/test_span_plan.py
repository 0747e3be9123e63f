"""Which spans a scheduled run takes: the newest, a window, the missed ones, not the refused."""

import pytest

from seq2seq_tfx.components.spans import Span
from seq2seq_tfx.pipeline.run_records import RunRecord
from seq2seq_tfx.pipeline.span_plan import due, refused, too_late


def runs(*told):
    return [
        RunRecord(i, "", 0, 0, verdict, "", spans.split(), {}, None, None)
        for i, (verdict, spans) in enumerate(told)
    ]


def plan(available, *told, window=1, catch_up=True):
    spans = list(map(Span.parse, available.split()))
    return [" ".join(map(str, night)) for night in due(spans, runs(*told), window, catch_up)]


def test_the_first_run_takes_the_newest_window():
    assert plan("1 2 3") == ["3"]
    assert plan("1 2 3", window=2) == ["2 3"]
    assert plan("1 2 3", window=9) == ["1 2 3"]


@pytest.mark.parametrize("verdict", ["pushed", "not_blessed", "data_gate"])
def test_missed_spans_are_run_oldest_first_after_the_last_settled_one(verdict):
    assert plan("1 2 3 5 6", ("pushed", "1"), (verdict, "3")) == ["5", "6"]
    assert plan("1 2 3 5 6", (verdict, "3"), catch_up=False) == ["6"]


@pytest.mark.parametrize("verdict", ["failed", "stopped", "running"])
def test_a_span_whose_run_did_not_end_is_run_again(verdict):
    assert plan("1 2 3", ("pushed", "1"), (verdict, "2")) == ["2", "3"]


def test_until_a_span_is_settled_those_whose_runs_failed_come_again():
    assert plan("3 4 5", ("failed", "3"), ("failed", "4")) == ["3", "4", "5"]
    assert plan("2 3 4 5", ("stopped", "2 3"), window=2) == ["2 3", "3 4", "4 5"]
    # Without catching up, and where the files are gone, it is the newest.
    assert plan("3 4 5", ("failed", "3"), catch_up=False) == ["5"]
    assert plan("1 2", ("failed", "3")) == ["2"]


def test_a_corrected_span_is_run_unless_a_later_one_is_settled():
    told = [("pushed", "1"), ("data_gate", "2v1")]
    assert plan("1v1 2v2 3v1", *told) == ["2v2", "3v1"]
    assert plan("1v1 2v2 3v1", *told, ("pushed", "3v1")) == ["3v1"]
    assert plan("1v1 2v2 3v1 4v1", *told, ("pushed", "3v1"), window=3) == ["2v2 3v1 4v1"]


def test_a_correction_that_no_run_reads_is_told():
    def late(available, *told, window=1):
        spans = list(map(Span.parse, available.split()))
        return too_late(spans, runs(*told), due(spans, runs(*told), window, True))

    told = [("pushed", "1"), ("data_gate", "2v1"), ("pushed", "3v1")]
    assert late("1v1 2v2 3v1 4v1", *told) == [Span(2, 2)]
    assert late("1v1 2v2 3v1 4v1", *told, window=3) == []
    assert late("1v1 2v2 3v1", *told[:2]) == []
    assert late("1v1 2v1 3v1 4v1", *told) == []  # not corrected
    told = [("pushed", "1v1"), ("pushed", "2v1"), ("not_blessed", "3v1")]
    assert late("1v1 2v2 3v1", *told) == [Span(2, 2)]  # bad or not when it was read


def test_with_nothing_new_the_newest_is_run_again():
    assert plan("1 2", ("pushed", "2")) == ["2"]
    assert plan("1 2v2", ("data_gate", "2v1")) == ["2v2"]


def test_a_window_is_what_ends_with_its_span():
    told = plan("1 2 3 4", ("pushed", "1 2"), window=2)
    assert told == ["2 3", "3 4"]


def test_a_refused_span_is_left_out_of_later_windows_until_a_new_version():
    told = [("pushed", "1"), ("pushed", "1 2"), ("data_gate", "1 2 3")]
    assert plan("1 2 3 4", *told, window=3) == ["1 2 4"]
    assert plan("1v1 2v1 3v2 4v1", ("pushed", "1v1 2v1"), ("data_gate", "2v1 3v1"), window=3) == [
        "2v1 3v2 4v1"
    ]
    # Judged again, as after other limits, and passed.
    assert plan("1 2 3 4", *told, ("pushed", "1 2 3"), window=2) == ["3 4"]


def test_where_nobody_knows_which_span_was_bad_none_is_refused():
    assert refused(runs(("data_gate", "1 2 3"))) == set()
    assert refused(runs(("data_gate", "3"))) == {Span(3)}
