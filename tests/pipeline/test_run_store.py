"""What the dashboard reads of runs: one that is over is not told to run."""

import time
from types import SimpleNamespace

from seq2seq_tfx.pipeline.run_records import newest_id, record
from seq2seq_tfx.pipeline.run_store import read_store
from seq2seq_tfx.report.dashboard.runs_page import outcome

from .recorded import Recorded

NOTHING = SimpleNamespace(verdict=lambda store, run: None)


def outcomes(folder):
    """What is said of each run, the newest first."""
    store = read_store(folder, "s")
    return [outcome(NOTHING, store, run) for run in store.runs]


def test_a_run_that_was_stopped_or_killed_does_not_run_for_ever(tmp_path):
    recorded = Recorded(tmp_path)
    recorded.run(["1"], left="Trainer")
    assert outcomes(tmp_path) == ["running: Trainer"]  # it may be
    recorded.run(["2"], left="Gate")
    assert outcomes(tmp_path) == ["running: Gate", "stopped: Trainer"]
    record(tmp_path, newest_id(tmp_path) - 1, "stopped", "SIGTERM")
    assert outcomes(tmp_path) == ["stopped: Gate", "stopped: Trainer"]
    newest, older = read_store(tmp_path, "s").runs
    assert (newest.verdict, newest.reason, older.verdict) == ("stopped", "SIGTERM", "")
    assert [one.state for one in newest.executions] == ["done", "done", "stopped"]


def test_a_component_that_is_tried_again_runs_on_and_its_last_try_counts(tmp_path):
    recorded = Recorded(tmp_path)
    run = recorded.run(["1"], left="Trainer")
    record(tmp_path, run - 1, "stopped", "SIGTERM")
    time.sleep(0.01)  # ML Metadata counts milliseconds
    recorded.goes_on(run, "Trainer")
    assert outcomes(tmp_path) == ["running: Trainer"]
    recorded.goes_on(run, "Trainer", ended=True)
    record(tmp_path, run - 1, "pushed", "")
    (found,) = read_store(tmp_path, "s").runs
    assert [one.state for one in found.executions] == ["done", "done"]
    assert outcomes(tmp_path) == ["no verdict"]  # none was read here, and nothing is stopped


def test_a_run_that_was_killed_for_memory_has_failed(tmp_path):
    run = Recorded(tmp_path).run(["1"], left="Trainer")
    record(tmp_path, run - 1, "failed", "killed")
    assert outcomes(tmp_path) == ["failed: Trainer"]


def test_a_run_that_is_under_way_has_no_verdict_yet(tmp_path):
    run = Recorded(tmp_path).run(["1"], left="Trainer")
    record(tmp_path, run - 1, "running")
    assert outcomes(tmp_path) == ["running: Trainer"]
    assert read_store(tmp_path, "s").runs[0].verdict == ""
