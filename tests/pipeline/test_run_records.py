"""What `seq2seq runs` tells: verdicts, spans, versions, and where a model comes from."""

import json
import subprocess
import sys
from pathlib import Path

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from seq2seq_tfx.pipeline import run_folder
from seq2seq_tfx.pipeline.lineage import UnknownVersion, last_blessed, lineage
from seq2seq_tfx.pipeline.run_records import (
    NoRuns,
    left_open,
    newest_id,
    read_runs,
    record,
    run_named,
)

from .recorded import AFTER, Recorded


def seq2seq(*arguments):
    command = [Path(sys.executable).with_name("seq2seq"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_verdict_is_what_was_kept_and_else_what_the_components_tell(tmp_path):
    recorded = Recorded(tmp_path)
    recorded.run(["1"], version=11)
    recorded.run(["2"], blessed=False)
    recorded.run(["3"], failed="Trainer")
    before = newest_id(tmp_path)
    recorded.run(["1", "4"], failed="PairExampleGen")
    assert record(tmp_path, before, "data_gate", "too many duplicates") == newest_id(tmp_path)
    found = [(run.verdict, run.spans, run.version, run.reason) for run in read_runs(tmp_path)]
    assert found == [
        ("pushed", ["1"], "11", ""),
        ("not_blessed", ["2"], None, ""),
        ("failed", ["3"], None, ""),
        ("data_gate", ["1", "4"], None, "too many duplicates"),
    ]
    assert read_runs(tmp_path)[2].components == {"PairExampleGen": "done", "Trainer": "failed"}
    assert [run.spans for run in read_runs(tmp_path, last=2)] == [["3"], ["1", "4"]]


def test_a_run_without_an_end_was_stopped_unless_it_is_running_now(tmp_path):
    Recorded(tmp_path).context("pipeline_run", "begun")
    assert [run.verdict for run in read_runs(tmp_path)] == ["stopped"]
    assert " stopped " in seq2seq("runs", "--output", tmp_path).stdout
    with run_folder.exclusive(tmp_path):
        assert " running " in seq2seq("runs", "--output", tmp_path).stdout


def test_a_run_that_was_killed_after_its_push_has_no_end(tmp_path):
    recorded = Recorded(tmp_path)
    run = recorded.run(["1"], version=11)
    assert left_open(tmp_path) is None
    recorded.goes_on(run, AFTER)
    found = left_open(tmp_path)  # to be told, and its span to come again
    assert (found.id, found.verdict, found.components[AFTER]) == (run, "stopped", "running")


def test_a_start_asks_nothing_of_the_runs_before_the_newest(tmp_path, monkeypatch):
    recorded = Recorded(tmp_path)
    asked = []

    def counted(self, context, *rest):
        asked.append(context)
        return executions_by_context(self, context, *rest)

    executions_by_context = mlmd.MetadataStore.get_executions_by_context
    monkeypatch.setattr(mlmd.MetadataStore, "get_executions_by_context", counted)
    for span in "12":
        recorded.run([span], version=int(span))
    run = recorded.run(["3"], left="Trainer")
    found = left_open(tmp_path)
    assert (found.id, found.components) == (run, {"PairExampleGen": "done", "Trainer": "running"})
    assert left_open(tmp_path, found.name) is None
    assert run_named(tmp_path, found.name) == found
    assert len(asked) == 3 and set(asked[::2]) == {run}


def test_nothing_is_recorded_where_no_component_began(tmp_path):
    assert record(tmp_path, newest_id(tmp_path), "failed") is None
    with pytest.raises(NoRuns, match=r"expected runs recorded in .*, found no such file"):
        read_runs(tmp_path)


def test_runs_are_listed_for_people_and_machines_without_the_stack(tmp_path):
    recorded = Recorded(tmp_path)
    recorded.run(["2026-11-24"], version=7)
    run = recorded.run(["2026-11-25"], failed="Trainer")
    record(tmp_path, run - 1, "failed", "[no] memory")
    told = seq2seq("runs", "--output", tmp_path).stdout
    assert "2026-11-24" in told and "pushed" in told and "1 done, Trainer failed" in told
    assert f"run {run}: [no] memory" in told
    with run_folder.exclusive(tmp_path):
        rows = json.loads(seq2seq("runs", "--output", tmp_path, "--json").stdout)
    assert [row["version"] for row in rows] == ["7", None]
    assert rows[0]["started"].endswith("+00:00")
    missing = seq2seq("runs", "--output", tmp_path / "none")
    assert (missing.returncode, missing.stdout) == (1, "")
    code = (
        "import sys, seq2seq_tfx.pipeline.runs_command, seq2seq_tfx.pipeline.gc_command;"
        "print({'tensorflow', 'tfx', 'apache_beam', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_lineage_goes_from_a_version_through_its_warm_starts_to_their_spans(tmp_path):
    recorded = Recorded(tmp_path)
    first = recorded.run(["1", "2"], version=11)
    begun = recorded.artifacts[first, "Model"].uri + "/Format-Serving"
    second = recorded.run(["3"], version=12, warm_start=begun)
    recorded.run(["4"], version=13, warm_start=str(tmp_path / "serving/seq2seq/12"))
    chain = lineage(tmp_path, "13")
    assert [(link.version, link.spans) for link in chain] == [
        ("13", ["4"]), ("12", ["3"]), ("11", ["1", "2"]),
    ]  # fmt: skip
    assert chain[1].model == recorded.artifacts[second, "Model"].uri
    told = seq2seq("runs", "--output", tmp_path, "--lineage", 12).stdout.splitlines()
    assert [line.partition(";")[0] for line in told] == [
        "version 12: spans 3", "version 11: spans 1, 2",
    ]  # fmt: skip
    with pytest.raises(UnknownVersion, match="received 5; there are 11, 12, 13"):
        lineage(tmp_path, "5")


def test_a_model_that_was_pushed_twice_is_found_by_both_versions(tmp_path):
    recorded = Recorded(tmp_path)
    run = recorded.run(["1"], version=11)
    made = {kind: recorded.artifacts[run, kind] for kind in ("Model", "ModelBlessing")}
    told = {"pushed": 1, "pushed_destination": str(tmp_path / "serving/seq2seq/12")}
    again = recorded.context("pipeline_run", "another gate")
    recorded._execute(again, "Pusher", {}, made, pb.Execution.COMPLETE, told)
    recorded.run(["2"], version=13, warm_start=str(tmp_path / "serving/seq2seq/11"))
    for version in ("11", "12"):
        assert [link.version for link in lineage(tmp_path, version)] == [version]
    assert [link.spans for link in lineage(tmp_path, "13")] == [["2"], ["1"]]


def test_a_run_begins_with_the_last_blessed_model_of_earlier_spans(tmp_path):
    recorded = Recorded(tmp_path)
    assert last_blessed(tmp_path, 9) is None
    first = recorded.run(["1"], version=11)
    second = recorded.run(["2"], version=12)
    recorded.run(["3"], blessed=False)
    models = {run: recorded.artifacts[run, "Model"].uri for run in (first, second)}
    assert last_blessed(tmp_path, 4)[0] == models[second]
    # Repeated, a run begins where it began.
    assert last_blessed(tmp_path, 2)[0] == models[first]
    assert last_blessed(tmp_path, 1) is None
