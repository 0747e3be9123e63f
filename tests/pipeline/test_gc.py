"""What `seq2seq gc` keeps and removes, and what is left of it when it is killed."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from seq2seq_tfx.pipeline import run_folder
from seq2seq_tfx.pipeline.cleanup import CannotClean, clean, plan
from seq2seq_tfx.pipeline.lineage import last_blessed, lineage
from seq2seq_tfx.serving import promotion

from .recorded import SIZE, Recorded
from .test_run_records import seq2seq


@pytest.fixture
def recorded(tmp_path):
    """Six runs; version 11 is served, 12 was before, 14 is pushed last."""
    recorded = Recorded(tmp_path / "out")
    for span in (1, 2, 3, 4):
        recorded.run([str(span)], version=10 + span)
    recorded.run(["5"], blessed=False)
    recorded.run(["6"], failed="Trainer")
    base = recorded.output / "serving" / "seq2seq"
    promotion.promote(base, 12)
    promotion.promote(base, 11)
    (recorded.output / "artifacts/Trainer/.system/executor_execution/2").mkdir(parents=True)
    return recorded


def models(recorded):
    return [path for path in recorded.live() if "/Trainer/" in str(path)]


def everything(recorded):
    return sorted(path for path in recorded.output.rglob("*") if path.name != run_folder.LOCK)


def versions(recorded):
    return sorted(p.name for p in (recorded.output / "serving/seq2seq").iterdir())


def test_served_versions_the_baseline_and_the_last_runs_stay_and_all_metadata(recorded):
    before = len(recorded.store.get_artifacts())
    planned = plan(recorded.output, 1)
    clean(recorded.output, planned)
    assert versions(recorded) == ["11", "12", "14"]
    # Their models, and the one of the run that failed has none.
    assert len(models(recorded)) == 3
    assert all((path / "data").is_file() for path in recorded.live())
    assert len(recorded.store.get_artifacts()) == before
    assert [link.spans for link in lineage(recorded.output, "13")] == [["3"]]
    # Examples of the last run alone.
    assert len(list(recorded.output.glob("artifacts/PairExampleGen/*/*"))) == 1
    assert not (recorded.output / "artifacts/Trainer/.system/executor_execution/2").exists()
    assert plan(recorded.output, 1).items == []


def test_other_forms_of_a_version_go_and_stay_with_it(recorded):
    exports = recorded.output / "exports"
    for form in ("seq2seq-int8", "seq2seq-float16"):
        for version in (11, 12, 13, 14):
            (exports / form / str(version)).mkdir(parents=True)
    clean(recorded.output, plan(recorded.output, 1))
    for form in ("seq2seq-int8", "seq2seq-float16"):
        assert sorted(path.name for path in (exports / form).iterdir()) == versions(recorded)
    assert plan(recorded.output, 1).items == []


def test_another_form_that_is_served_stays_where_its_version_goes(recorded):
    form = recorded.output / "exports/seq2seq-int8"
    for version in (12, 13, 14):
        (form / str(version)).mkdir(parents=True)
        (form / str(version) / "saved_model.pb").touch()
    promotion.promote(recorded.output / "serving/seq2seq", 14)
    promotion.promote(form, 13)
    clean(recorded.output, plan(recorded.output, 1))
    assert versions(recorded) == ["11", "14"]
    assert sorted(path.name for path in form.iterdir()) == ["13", "14"]
    assert plan(recorded.output, 1).items == []


def test_the_model_that_a_kept_run_began_with_stays(tmp_path):
    recorded = Recorded(tmp_path / "out")
    first = recorded.run(["1"])
    start = Path(recorded.artifacts[first, "Model"].uri)
    for span in (2, 3):
        recorded.run([str(span)], blessed=False)
    recorded.run(["4"], warm_start=str(start / "Format-Serving"))
    clean(recorded.output, plan(recorded.output, 1))
    # So that the run, repeated, begins there again and comes from the cache.
    found = last_blessed(recorded.output, 4)
    assert found and Path(found[0]) == start and start in recorded.live()


def test_a_version_that_is_promoted_meanwhile_stays_with_its_forms(recorded):
    form = recorded.output / "exports/seq2seq-int8/13"
    form.mkdir(parents=True)
    planned = plan(recorded.output, 1)
    promotion.promote(recorded.output / "serving/seq2seq", 13)
    clean(recorded.output, planned)
    assert versions(recorded) == ["11", "12", "13", "14"] and form.is_dir()


def test_a_dry_run_says_what_and_how_much_and_changes_nothing(recorded):
    before = everything(recorded)
    told = seq2seq("gc", "--output", recorded.output, "--keep", 3, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert everything(recorded) == before
    rows = {row[0]: row[1:] for line in told.stdout.splitlines()
            if len(row := [cell.strip() for cell in line.split("│")[1:-1]]) == 3}  # fmt: skip
    planned = plan(recorded.output, 3)
    assert rows["PairExampleGen"][0] == "3"
    assert rows["pushed versions"][0] == "1"
    assert rows["all"][0] == str(len(planned.items))
    assert sum(item.bytes for item in planned.items) >= (len(planned.items) - 1) * SIZE
    assert "kept: the last 3 runs, the last blessed model, versions 11, 12, 14" in told.stdout
    done = seq2seq("gc", "--output", recorded.output, "--keep", 3)
    assert done.returncode == 0 and plan(recorded.output, 3).items == []


def test_what_is_kept_grows_with_the_runs(recorded):
    assert plan(recorded.output, 99).items == []
    sizes = [len(plan(recorded.output, keep).items) for keep in range(1, 7)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[3] > 0


@pytest.mark.parametrize("at", [0, 1, 2, 15])  # renaming and removing, by turns
def test_killed_at_any_point_it_leaves_nothing_inconsistent(recorded, at):
    code = (
        "import os, shutil, signal, sys; from pathlib import Path\n"
        "from seq2seq_tfx.pipeline.cleanup import clean, plan\n"
        "output, left = Path(sys.argv[1]), int(sys.argv[2])\n"
        "def counted(real):\n"
        "    def call(*arguments):\n"
        "        global left\n"
        "        if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        left -= 1\n"
        "        return real(*arguments)\n"
        "    return call\n"
        "os.replace, shutil.rmtree = counted(os.replace), counted(shutil.rmtree)\n"
        "clean(output, plan(output, 1))\n"
    )
    arguments = [sys.executable, "-c", code, str(recorded.output), str(at)]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL
    # Whatever a run may take from the cache, and whatever is served, is whole.
    assert all((path / "data").is_file() for path in recorded.live())
    for version in promotion.read(recorded.output / "serving/seq2seq").labels.values():
        assert (recorded.output / f"serving/seq2seq/{version}/saved_model.pb").is_file()
    # A run after it, and another removal.
    recorded.run(["7"], version=17)
    assert seq2seq("gc", "--output", recorded.output, "--keep", 1).returncode == 0
    assert plan(recorded.output, 1).items == []
    assert not list(recorded.output.rglob(".gc-*"))
    assert all((path / "data").is_file() for path in recorded.live())
    assert versions(recorded) == ["11", "12", "17"]


def test_checkpoints_and_scratch_whose_removal_was_killed_go_at_once(recorded):
    for place in ("checkpoints", ".system/executor_execution"):
        # Whatever was removed of it has made it as new as the kept run.
        (recorded.output / "artifacts/Trainer" / place / ".gc-1").mkdir(parents=True)
    clean(recorded.output, plan(recorded.output, 1))
    assert not list(recorded.output.rglob(".gc-*"))


def test_the_baseline_stays_blessed_where_later_runs_ended_before_it(tmp_path):
    recorded = Recorded(tmp_path / "out")
    recorded.run(["1"], version=11)
    baseline = recorded.run(["2"], version=12)
    for span in (3, 4, 5):
        recorded.run([str(span)], failed="Trainer")
    clean(recorded.output, plan(recorded.output, 3))
    live = recorded.live()
    # What the resolver of the next candidate looks for: both, and live.
    for kind in ("Model", "ModelBlessing"):
        folder = Path(recorded.artifacts[baseline, kind].uri)
        assert folder in live and (folder / "data").is_file()


def test_checkpoints_and_unfinished_outputs_of_runs_that_are_kept_stay(recorded):
    import os

    checkpoints = recorded.output / "artifacts/Trainer/checkpoints"
    for name in ("old", "new"):
        (checkpoints / name).mkdir(parents=True)
    # The pairs of a training that ended in NaN lie beside them.
    (checkpoints / "a-not-finite.tsv").write_text("a\tb\n")
    for name in ("old", "a-not-finite.tsv"):
        os.utime(checkpoints / name, (1, 1))
    clean(recorded.output, plan(recorded.output, 1))
    assert [path.name for path in checkpoints.iterdir()] == ["new"]
    assert versions(recorded) == ["11", "12", "14"]  # nothing of the plan is left over


def test_a_model_that_was_judged_anew_and_not_blessed_is_no_baseline(tmp_path):
    recorded = Recorded(tmp_path / "out")
    baseline, newest = recorded.run(["1"]), recorded.run(["2"])
    judged = {"Model": recorded.artifacts[newest, "Model"]}
    told = {"blessed": 0, "current_model_id": judged["Model"].id}
    again = recorded.context("pipeline_run", "a stricter gate")
    recorded._execute(again, "Gate", {}, judged, pb.Execution.COMPLETE, told)
    clean(recorded.output, plan(recorded.output, 1))
    for kind in ("Model", "ModelBlessing"):
        assert Path(recorded.artifacts[baseline, kind].uri) in recorded.live()


def test_a_folder_may_be_reached_by_a_link_in_the_run_and_here(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    recorded = Recorded(tmp_path / "link" / "out")
    for span in (1, 2, 3):
        recorded.run([str(span)], version=10 + span)
    planned = plan(tmp_path / "disk" / "out", 1)
    assert planned == plan(recorded.output, 1)
    clean(recorded.output, planned)
    assert versions(recorded) == ["13"] and len(models(recorded)) == 1
    assert all((path / "data").is_file() for path in recorded.live())
    assert plan(recorded.output, 1).items == []


def test_a_folder_in_use_that_was_moved_or_has_no_runs_is_left_alone(recorded, tmp_path):
    with run_folder.exclusive(recorded.output):
        busy = seq2seq("gc", "--output", recorded.output)
    assert busy.returncode == 4 and "another run is using" in busy.stderr
    shutil.copytree(recorded.output, tmp_path / "moved")
    with pytest.raises(CannotClean, match="the folder was moved"):
        plan(tmp_path / "moved", 1)
    empty = seq2seq("gc", "--output", tmp_path)
    assert empty.returncode == 1 and "expected runs recorded" in empty.stderr


def test_a_folder_without_runs_is_neither_made_nor_written_to(tmp_path):
    (tmp_path / "foreign").mkdir()
    for output in (tmp_path / "foreign", tmp_path / "none"):
        for options in ((), ("--dry-run",)):
            done = seq2seq("gc", *options, "--output", output)
            assert done.returncode == 1 and "expected runs recorded" in done.stderr
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("foreign")]
