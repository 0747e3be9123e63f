"""What the run that a scheduler calls does by itself: codes, retries, space, who is told."""

import io
import json
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from ml_metadata import errors

from seq2seq_tfx.components.errors import BadData, PipelineError
from seq2seq_tfx.pipeline import cli, run_folder, runners, unattended
from seq2seq_tfx.pipeline.config import load_config
from seq2seq_tfx.pipeline.run_records import read_runs, record
from seq2seq_tfx.pipeline.summary import RunSummary

from .recorded import Recorded
from .test_run_records import seq2seq

TELL = "import sys; open('told.jsonl', 'ab').write(sys.stdin.buffer.read() + b'\\n')"
JOB = f"""\
name: job
data: {{input: "pairs-{{SPAN}}.tsv"}}
gate: {{thresholds: {{bleu: {{min: 1}}}}}}
unattended: {{catch_up: true, retries: 2, backoff_seconds: 0.01}}
notify: {{command: {json.dumps([sys.executable, "-c", TELL])}}}
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pairs-1.tsv").write_text("a\tb\n")
    Path("job.yaml").write_text(JOB)
    return Recorded(tmp_path / "out")


def run(*arguments):
    command = ["run", "--config", "job.yaml", "--output", "out", *arguments]
    return CliRunner().invoke(cli.main, command, catch_exceptions=False)


def told():
    path = Path("told.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def runs_that(monkeypatch, job, *ends):
    """Lets the pipeline end so, one after the other; gives the configurations it was run with."""
    given, ends = [], list(ends)

    def run_pipeline(config, output, runner):
        given.append(config)
        end = ends.pop(0)
        if isinstance(end, Exception):
            job.run(config.data.spans, failed="Trainer")
            try:
                raise RuntimeError("Beam says") from end
            except RuntimeError as error:
                raise runners.RunFailed(f"Trainer: {end}") from error
        job.run(config.data.spans, version=end, blessed=end is not None)
        return RunSummary(
            nodes=[],
            counts={"read": 1, "accepted": 1, "rejected": {}, "examples": {}},
            verdict={
                "blessed": end is not None, "examples": 1, "candidate": {}, "baseline": None,
                "rules": [{"rule": "bleu >= 1", "metric": "bleu", "figure": 0.0, "bound": None,
                           "note": "", "passed": end is not None}],
                "confidence": 0.95, "intervals": {"candidate": {}},
                "cost": {"size_mb": 5.0, "latency_ms": None, "sources": 0},
            },
            infra={"faults": []},
            pushed_to=end and str(Path("out/serving/seq2seq", str(end)).absolute()),
            sentences=Path("nowhere"), model_run=Path("nowhere"),
        )  # fmt: skip

    monkeypatch.setattr(runners, "run_pipeline", run_pipeline)
    return given


@pytest.mark.parametrize(
    ("end", "code", "verdict", "event"),
    [
        (11, 0, "pushed", "blessed"),
        (None, 3, "not_blessed", "not_blessed"),
        (BadData("too many duplicates"), 5, "data_gate", "data_gate"),
        (PipelineError("another architecture"), 6, "failed", "failed"),
    ],
)
def test_each_end_has_its_code_its_record_and_its_event(
    monkeypatch, job, end, code, verdict, event
):
    given = runs_that(monkeypatch, job, end)
    result = run()
    assert result.exit_code == code, result.stderr
    assert len(given) == 1  # neither bad data nor a failed gate is tried again
    (found,) = read_runs(Path("out"))
    assert (found.verdict, found.spans) == (verdict, ["1"])
    (payload,) = told()
    assert (payload["event"], payload["exit_code"], payload["run"]) == (event, code, found.id)
    assert payload["text"].startswith("seq2seq 'job': ")
    assert payload["reason"] == found.reason
    assert ("bleu >= 1" in found.reason) == (end is None)


def test_what_is_known_of_its_margins_is_said_of_the_job_as_it_is_configured(monkeypatch, job):
    runs_that(monkeypatch, job, None)
    asked = []

    def told(config, output, verdict):
        asked.append((config, output, verdict["blessed"]))
        return ["a narrow margin"]

    monkeypatch.setattr(unattended, "told_of_margins", told)
    result = run()
    assert "gate: a narrow margin" in result.stdout, result.stderr
    assert asked == [(load_config("job.yaml"), Path("out"), False)]  # its spans come and go


def test_what_may_pass_is_tried_again_and_told_once(monkeypatch, job):
    given = runs_that(monkeypatch, job, OSError("no route"), MemoryError("killed"), 11)
    result = run()
    assert result.exit_code == 0 and len(given) == 3
    assert "retry 1 of 2 in 0.01 s" in result.stderr and "retry 2 of 2 in 0.02 s" in result.stderr
    assert [each.verdict for each in read_runs(Path("out"))] == ["failed", "failed", "pushed"]
    assert [each["event"] for each in told()] == ["blessed"]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_it_waits_it_says_why_and_ends_with_the_code_of_the_signal(
    monkeypatch, job, by
):
    given = runs_that(monkeypatch, job, OSError("no route"))
    monkeypatch.setattr(unattended.time, "sleep", lambda seconds: signal.raise_signal(by))
    result = run()
    assert result.exit_code == 128 + by and len(given) == 1
    assert f"stopped by {by.name} while it waited to try again, after: Trainer" in result.stderr


def test_stopped_by_hand_between_the_runs_it_ends_with_the_code_of_the_signal(monkeypatch, job):
    def run_pipeline(config, output, runner):
        raise KeyboardInterrupt

    monkeypatch.setattr(runners, "run_pipeline", run_pipeline)
    assert run().exit_code == 128 + signal.SIGINT


def test_a_push_from_the_cache_that_a_newer_version_hides_is_told(monkeypatch, job):
    runs_that(monkeypatch, job, 11, 12)
    assert "is newer" not in run().stdout
    newer = Path("out/serving/seq2seq/99")
    newer.mkdir()
    (newer / "saved_model.pb").touch()
    result = run()
    assert "version 99 is newer" in result.stdout
    assert "versions promote 12 --model out/serving/seq2seq" in result.stdout


def test_tries_end(monkeypatch, job):
    given = runs_that(monkeypatch, job, *[OSError("no route")] * 3)
    assert run().exit_code == 1 and len(given) == 3
    assert [each["event"] for each in told()] == ["failed"]


def test_missed_nights_are_run_oldest_first_each_from_the_last_blessed_model(monkeypatch, job):
    Path("job.yaml").write_text(f"{JOB}training: {{warm_start: last_blessed}}\n")
    runs_that(monkeypatch, job, 11)
    assert run().exit_code == 0
    for span in (2, 3, 4):
        Path(f"pairs-{span}.tsv").write_text("a\tb\n")
    given = runs_that(monkeypatch, job, 12, BadData("no"), 14)
    result = run()
    assert result.exit_code == 0
    assert [config.data.spans for config in given] == [["2"], ["3"], ["4"]]
    assert given[0].data.patterns == [str(Path("pairs-2.tsv").absolute())]
    first, second = (job.artifacts[run, "Model"].uri for run in sorted(
        {run for run, kind in job.artifacts if kind == "PushedModel"})[:2])  # fmt: skip
    assert [config.training.warm_start for config in given] == [
        f"{first}/Format-Serving", f"{second}/Format-Serving", f"{second}/Format-Serving",
    ]  # fmt: skip
    assert "spans: 3 (run 2 of 3)" in result.stdout


def test_runs_that_catch_up_do_not_read_what_was_refused_among_them(monkeypatch, job):
    Path("job.yaml").write_text(JOB.replace('.tsv"', '.tsv", window: 3'))
    runs_that(monkeypatch, job, 11)
    run()
    for span in (2, 3, 4, 5):
        Path(f"pairs-{span}.tsv").write_text("a\tb\n")
    given = runs_that(monkeypatch, job, 12, BadData("no"), 14, 15)
    assert run().exit_code == 0
    read = [config.data.spans for config in given]
    # As by one call a night.
    assert read == [["1", "2"], ["1", "2", "3"], ["1", "2", "4"], ["2", "4", "5"]]


def test_an_error_ends_the_catching_up_and_the_next_call_goes_on_there(monkeypatch, job):
    runs_that(monkeypatch, job, 11)
    run()
    Path("pairs-2.tsv").write_text("a\tb\n")
    Path("pairs-3.tsv").write_text("a\tb\n")
    given = runs_that(monkeypatch, job, PipelineError("no"))
    assert run().exit_code == 6 and len(given) == 1
    given = runs_that(monkeypatch, job, 12, 13)
    assert run().exit_code == 0
    assert [config.data.spans for config in given] == [["2"], ["3"]]


def test_an_error_outside_the_components_is_tried_again_and_told(monkeypatch, job):
    tries = []

    def run_pipeline(config, output, runner):
        tries.append(config)
        raise PermissionError(13, "Permission denied", "out/run.log")

    monkeypatch.setattr(runners, "run_pipeline", run_pipeline)
    result = run()
    assert result.exit_code == 1 and len(tries) == 3
    (payload,) = told()
    assert payload["event"] == "failed" and payload["run"] is None
    assert payload["reason"] == "PermissionError: [Errno 13] Permission denied: 'out/run.log'"
    assert "Traceback" in result.stderr  # which no log has


def test_spans_that_cannot_be_listed_are_told(monkeypatch, job):
    def read_runs(output):
        raise errors.InternalError("database is locked")

    monkeypatch.setattr(unattended, "read_runs", read_runs)
    assert run().exit_code == 1
    assert [each["reason"] for each in told()] == ["InternalError: database is locked"]


@pytest.mark.parametrize(
    ("end", "told"),
    [(BadData("too many <b>"), "data gate"), (PipelineError("another <b>"), "failed")],
)
def test_a_run_without_a_verdict_is_told_of_on_the_report_of_the_run_before(
    monkeypatch, job, end, told
):
    report = Path("out/report.html")
    report.write_text("<main>\n<p>earlier</p></main>")
    runs_that(monkeypatch, job, end)
    run()
    page = report.read_text()
    assert f">{told}</span> A newer run" in page and str(end).replace("<b>", "&lt;b&gt;") in page
    assert page.index("A newer run") < page.index("earlier")


def test_a_run_that_cannot_be_recorded_or_reported_is_told(monkeypatch, job):
    def record(*_):
        raise errors.InternalError("database or disk is full")

    def write_report(*_):
        raise KeyError("figures")

    monkeypatch.setattr(unattended, "record", record)
    monkeypatch.setattr(unattended, "write_report", write_report)
    runs_that(monkeypatch, job, 11)
    result = run()
    assert result.exit_code == 0
    assert [each["event"] for each in told()] == ["blessed"]
    assert "warning: how the run ended cannot be recorded: InternalError: " in result.stderr
    assert "warning: the report cannot be written: KeyError: 'figures'" in result.stderr


def test_a_log_on_a_full_disk_keeps_nobody_from_being_told(monkeypatch, job):
    runs_that(monkeypatch, job, *[OSError(28, "No space left on device")] * 3)
    with io.TextIOWrapper(open("/dev/full", "wb", 0), write_through=True) as full:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stderr", full)
        with pytest.raises(SystemExit, match="1"):
            cli.main(["run", "--config", "job.yaml", "--output", "out"])
    assert "No space left on device" in told()[0]["reason"]


def test_a_reason_with_a_name_that_is_no_utf_8_is_recorded_and_told(monkeypatch, job):
    runs_that(monkeypatch, job, PipelineError("pairs-\udcff.tsv"))
    assert run().exit_code == 6
    (found,), (payload,) = read_runs(Path("out")), told()
    assert found.reason == payload["reason"] == "Trainer: pairs-\\udcff.tsv"


def test_a_run_that_would_not_fit_says_so_before_it_starts(monkeypatch, job):
    text = JOB.replace("retries: 2", "retries: 2, reserve_mb: 1000000000")
    Path("job.yaml").write_text(text)
    given = runs_that(monkeypatch, job)
    result = run()
    assert (result.exit_code, given) == (6, [])
    assert "MB free on the disk of out for this run, found" in result.stderr
    assert "`seq2seq gc` makes room" in result.stderr and "Nothing was run" in result.stderr
    assert [each["event"] for each in told()] == ["failed"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("data: {input: 'disk/pairs-{SPAN}.tsv'}", "data.input: expected a file, found none at"),
        ("data_validation: {schema_file: gone.pbtxt}", "data_validation.schema_file: "),
        ("evaluation: {challenge_sets: {old: gone.tsv}}", "evaluation.challenge_sets.old: "),
        ("training: {epochs: many}", "training.epochs: expected an integer"),
    ],
)
def test_a_night_that_cannot_begin_is_told(job, broken, reason):
    text = JOB.replace('data: {input: "pairs-{SPAN}.tsv"}\n', "") if "data:" in broken else JOB
    Path("job.yaml").write_text(f"{text}{broken}\n")
    assert run().exit_code == 2
    (payload,) = told()
    assert (payload["event"], payload["exit_code"], payload["job"]) == ("failed", 2, "job")
    assert reason in payload["reason"] and payload["output"] == str(Path("out").absolute())


def test_runs_go_where_the_configuration_says(monkeypatch, job):
    Path("job.yaml").write_text(f"{JOB}runner: {{output: out}}\n")
    given = runs_that(monkeypatch, job, PipelineError("no room"))
    assert CliRunner().invoke(cli.main, ["run", "--config", "job.yaml"]).exit_code == 6
    assert len(given) == 1 and read_runs(Path("out"))

    Path("job.yaml").write_text(f"{JOB}runner: {{output: out}}\ntraining: {{epochs: many}}\n")
    assert CliRunner().invoke(cli.main, ["run", "--config", "job.yaml"]).exit_code == 2
    assert [one["output"] for one in told()] == [str(Path("out").absolute())] * 2


def test_where_notify_cannot_be_read_nobody_is_told(job):
    Path("job.yaml").write_text(JOB.replace("notify: {", "notify: {timeout_seconds: never, "))
    result = run()
    assert result.exit_code == 2 and "notify.timeout_seconds" in result.stderr
    assert told() == []


def test_a_killed_run_is_told_once_by_the_next(monkeypatch, job):
    killed = job.run(["1"], left="Trainer")
    runs_that(monkeypatch, job, 11, 12)
    assert run().exit_code == run().exit_code == 0
    first, *others = told()
    assert (first["event"], first["run"], first["spans"]) == ("failed", killed, ["1"])
    assert first["reason"].startswith("Trainer: the process was killed")
    assert [each["event"] for each in others] == ["blessed", "blessed"]
    (found, _, _) = read_runs(Path("out"))
    assert (found.verdict, found.reason) == ("failed", first["reason"])


def test_a_run_that_is_under_way_or_has_ended_is_not_told_as_killed(monkeypatch, job):
    record(Path("out"), job.run(["1"], failed="Trainer") - 1, "stopped")
    runs_that(monkeypatch, job, 11)
    assert run().exit_code == 0
    job.run(["1"], left="Trainer")
    with run_folder.exclusive(Path("out")):
        runs_that(monkeypatch, job, run_folder.OutputBusy("another"))
        unattended.run_job(load_config("job.yaml"), Path("job.yaml"), Path("out"), "local")
    assert [each["event"] for each in told() if "killed" in each["reason"]] == []


def test_between_its_components_a_run_is_under_way_until_another_begins(monkeypatch, job):
    def run_component(config, output, name, run_id):
        contexts = {each.name for each in job.store.get_contexts_by_type("pipeline_run")}
        if run_id not in contexts:
            job.context("pipeline_run", run_id)
        return {"Pusher"}

    def verdicts():
        done = seq2seq("runs", "--output", "out", "--json")
        return [row["verdict"] for row in json.loads(done.stdout)]

    monkeypatch.setattr(runners, "run_component", run_component)
    night = ("--component", "Trainer", "--run-id")
    assert run(*night, "night 1").exit_code == run(*night, "night 1").exit_code == 0
    assert verdicts() == ["running"] and told() == []
    assert run(*night, "night 2").exit_code == 0
    assert verdicts() == ["failed", "running"]
    assert [each["reason"].partition(":")[0] for each in told()] == ["between components"]


def test_a_hook_that_fails_is_a_warning_and_the_code_stays(monkeypatch, job):
    Path("job.yaml").write_text(JOB.replace(json.dumps(sys.executable), '"/no/such/program"'))
    runs_that(monkeypatch, job, 11)
    result = run()
    assert result.exit_code == 0
    assert "warning: notify: /no/such/program cannot be started" in result.stderr


def test_a_hook_finds_its_address_in_the_file_of_secrets(monkeypatch, job):
    monkeypatch.setenv("NIGHT_HOOK", "")
    Path("job.env").write_text('NIGHT_HOOK="https://[secret"\n')
    Path("job.yaml").write_text(f"{JOB.partition('notify')[0]}notify: {{webhook: $NIGHT_HOOK}}\n")
    runs_that(monkeypatch, job, 11)
    result = run("--env", "job.env")
    assert result.exit_code == 0
    assert "received one that cannot be read" in result.stderr and "secret" not in result.stderr


def test_last_blessed_needs_spans(job):
    Path("job.yaml").write_text(
        JOB.replace("pairs-{SPAN}.tsv", "pairs-1.tsv") + "training: {warm_start: last_blessed}\n"
    )
    result = run()
    assert result.exit_code == 2
    assert "job.yaml:6: training.warm_start: needs {SPAN} or a date in data.input" in result.stderr
