"""What the dashboard reads of runs: one that is over is not told to run."""

import time
from types import SimpleNamespace

import pytest

from seq2seq_tfx.pipeline.run_folder import METADATA
from seq2seq_tfx.pipeline.run_records import NoRuns, newest_id, read_runs, record
from seq2seq_tfx.pipeline.run_store import read_store
from seq2seq_tfx.report.dashboard.runs_page import outcome
from seq2seq_tfx.report.dashboard.sentences import CannotRead

from .recorded import AFTER, Recorded

NOTHING = SimpleNamespace(verdict=lambda store, run: None)


def outcomes(folder, is_busy=True):
    """What is said of each run, the newest first."""
    store = read_store(folder, "s", is_busy)
    return [outcome(NOTHING, store, run) for run in store.runs]


def test_a_run_that_was_stopped_or_killed_does_not_run_for_ever(tmp_path):
    recorded = Recorded(tmp_path)
    recorded.run(["1"], left="Trainer")
    assert outcomes(tmp_path) == ["running: Trainer"]  # it may be
    recorded.run(["2"], left="Gate")
    assert outcomes(tmp_path) == ["running: Gate", "stopped: Trainer"]
    assert outcomes(tmp_path, is_busy=False) == ["stopped: Gate", "stopped: Trainer"]
    record(tmp_path, newest_id(tmp_path) - 1, "stopped", "SIGTERM")
    assert outcomes(tmp_path) == ["stopped: Gate", "stopped: Trainer"]
    newest, older = read_store(tmp_path, "s", True).runs
    assert (newest.verdict, newest.reason, older.verdict) == ("stopped", "SIGTERM", "stopped")
    assert [one.state for one in newest.executions] == ["done", "done", "stopped"]


def test_a_run_that_was_killed_after_its_push_was_stopped(tmp_path):
    recorded = Recorded(tmp_path)
    recorded.goes_on(recorded.run(["1"], version=11), AFTER)
    assert outcomes(tmp_path) == [f"running: {AFTER}"]
    assert outcomes(tmp_path, is_busy=False) == [f"stopped: {AFTER}"]
    assert read_runs(tmp_path)[0].verdict == "stopped"


def test_a_component_that_is_tried_again_runs_on_and_its_last_try_counts(tmp_path):
    recorded = Recorded(tmp_path)
    run = recorded.run(["1"], left="Trainer")
    record(tmp_path, run - 1, "stopped", "SIGTERM")
    time.sleep(0.01)  # ML Metadata counts milliseconds
    recorded.goes_on(run, "Trainer")
    assert outcomes(tmp_path) == ["running: Trainer"]
    recorded.goes_on(run, "Trainer", ended=True)
    record(tmp_path, run - 1, "pushed", "")
    (found,) = read_store(tmp_path, "s", True).runs
    assert [one.state for one in found.executions] == ["done", "done"]
    assert outcomes(tmp_path) == ["blessed and pushed"]


def test_a_run_that_was_killed_for_memory_has_failed(tmp_path):
    run = Recorded(tmp_path).run(["1"], left="Trainer")
    record(tmp_path, run - 1, "failed", "killed")
    assert outcomes(tmp_path) == ["failed: Trainer"]


def test_a_run_that_is_under_way_runs_between_its_processes_too(tmp_path):
    recorded = Recorded(tmp_path)
    run = recorded.run(["1"], left="Trainer")
    record(tmp_path, run - 1, "running")
    assert outcomes(tmp_path) == ["running: Trainer"]
    recorded.goes_on(run, "Trainer", ended=True)
    assert outcomes(tmp_path, is_busy=False) == ["running"]


def test_a_run_is_told_by_what_was_kept_of_it_once_its_files_are_removed(tmp_path):
    recorded = Recorded(tmp_path)
    for verdict in ("pushed", "not_blessed"):
        record(tmp_path, recorded.run([verdict]) - 1, verdict)
    assert outcomes(tmp_path, is_busy=False) == ["not blessed", "blessed and pushed"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "found an empty file"), (b"no database" * 1000, "cannot read it: file is not a data")],
)
def test_a_damaged_record_is_told_of(tmp_path, content, told):
    (tmp_path / METADATA).write_bytes(content)
    with pytest.raises(CannotRead, match=rf"metadata\.sqlite, {told}"):
        read_store(tmp_path, "s", False)
    with pytest.raises(NoRuns, match=rf"metadata\.sqlite, {told}"):
        read_runs(tmp_path)
