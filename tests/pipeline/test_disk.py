"""The look at the disk: what a run still writes must fit, and not what it has written."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2seq_tfx.components.spans import Span
from seq2seq_tfx.pipeline import runners, unattended
from seq2seq_tfx.pipeline.config import load_config
from seq2seq_tfx.pipeline.disk import room_of, settings_of

from .recorded import SIZE, Recorded

JOB = """\
name: job
data: {input: "pairs-{SPAN}.tsv"}
gate: {thresholds: {bleu: {min: 1}}}
unattended: {retries: 2, backoff_seconds: 0, reserve_mb: 1}
"""
RESERVE = 10**6


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A run that was pushed, and the pairs of the next."""
    monkeypatch.chdir(tmp_path)
    for span in (1, 2):
        Path(f"pairs-{span}.tsv").write_text("a\tb\n")
    Path("job.yaml").write_text(JOB)
    recorded = Recorded(tmp_path / "out")
    recorded.run(["1"], version=11)
    return recorded


def disk(monkeypatch, free):
    """A disk that only has so much room, from which tests take."""
    left = SimpleNamespace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: left)
    return left


def test_a_retry_needs_no_room_for_what_is_written(monkeypatch, recorded, capsys):
    whole = room_of(recorded.output, [], [], {}).whole
    left = disk(monkeypatch, whole + RESERVE)
    tries = []

    def run_pipeline(config, output, runner):
        tries.append(config)
        recorded.run(config.data.spans, failed="Pusher", settings=settings_of(config))
        left.free -= 3 * SIZE if len(tries) == 1 else 0  # and then from the cache
        raise runners.RunFailed("Pusher: no route")

    monkeypatch.setattr(runners, "run_pipeline", run_pipeline)
    unattended.run_job(load_config("job.yaml"), Path("job.yaml"), recorded.output, "local")
    assert len(tries) == 3
    assert "Pusher: no route" in capsys.readouterr().err


def test_a_later_component_needs_no_room_for_what_is_written(monkeypatch, recorded, capsys):
    whole = room_of(recorded.output, [], [], {}).whole
    left = disk(monkeypatch, whole + RESERVE)
    config = load_config("job.yaml")
    night = unattended.resolved(config, recorded.output, [Span.parse("2")])
    run = recorded.run(["2"], left="Pusher", settings=settings_of(night))
    (context,) = recorded.store.get_contexts_by_id([run])
    left.free -= 3 * SIZE
    done = []

    def run_component(config, output, name, run_id):
        done.append(name)
        return {"Pusher"}

    monkeypatch.setattr(runners, "run_component", run_component)
    given = (config, Path("job.yaml"), recorded.output, "Gate", context.name)
    assert unattended.run_one(*given) == 0
    left.free -= SIZE  # which somebody else took
    assert unattended.run_one(*given) != 0
    assert "for the rest of this run" in (told := capsys.readouterr().err)
    assert "Nothing more was run" in told and done == ["Gate"]


def test_other_spans_need_a_whole_run(recorded):
    recorded.run(["2"], failed="Pusher")
    assert room_of(recorded.output, [], ["2"], {}).written >= 3 * SIZE
    assert room_of(recorded.output, [], ["3"], {}).written == 0
    recorded.run(["3"], version=13)
    assert room_of(recorded.output, [], ["3"], {}).written == 0


def test_what_is_made_again_with_other_settings_or_files_needs_room(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs = Path("pairs.tsv")
    pairs.write_text("a\tb\n")
    os.utime(pairs, (0, 0))

    def settings(job):
        Path("job.yaml").write_text(JOB.replace("-{SPAN}", "") + job)
        return settings_of(load_config("job.yaml"))

    usual = settings("")
    recorded = Recorded(tmp_path / "out")
    recorded.run(failed="Pusher", settings=usual)

    def written(settings):
        return room_of(recorded.output, [str(pairs)], [], settings).written

    whole = written(usual)
    assert whole >= 3 * SIZE  # as many artifacts
    # That of PairExampleGen stays.
    assert written(settings("model: {size: {units: 99}}\n")) == whole // 3
    other_data = JOB.replace('pairs-{SPAN}.tsv"', 'pairs.tsv", max_characters: 50')
    Path("job.yaml").write_text(other_data)
    assert written(settings_of(load_config("job.yaml"))) == 0
    pairs.write_text("a\tb\nc\td\n")
    assert written(usual) == 0


def test_all_that_a_run_writes_is_counted(tmp_path):
    recorded = Recorded(tmp_path / "out")
    run = recorded.run(["1"], version=11)
    plain = room_of(recorded.output, [], [], {}).whole
    assert plain >= 5 * SIZE  # four artifacts, and the pushed version

    def grown_by(path, count=1):
        before = room_of(recorded.output, [], [], {}).whole
        place = recorded.output / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x" * SIZE)
        assert room_of(recorded.output, [], [], {}).whole - before >= count * SIZE

    grown_by("exports/seq2seq-int8/11/saved_model.pb")
    execution = recorded.store.get_executions_by_context(run)[0].id
    grown_by(f"artifacts/Trainer/.system/executor_execution/{execution}/scratch")
    # While it trained there were checkpoints, each some times as large as the weights.
    grown_by(f"artifacts/Trainer/model/{run}/Format-Serving/variables/variables.data", 10)

    other = Recorded(tmp_path / "other")
    other.run(["1"], failed="Trainer")
    kept = other.output / "artifacts/Trainer/checkpoints/digest"
    kept.mkdir(parents=True)
    (kept / "1.npz").write_bytes(b"x" * SIZE)
    assert room_of(other.output, [], ["1"], {}).written >= 2 * SIZE
