"""The promises of the command: exit codes, and messages that say what to do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from seq2seq_tfx.pipeline import cli, predict_command, runners
from seq2seq_tfx.pipeline.run_folder import LOCK, exclusive
from seq2seq_tfx.pipeline.summary import NodeRun, RunSummary
from seq2seq_tfx.serving import local_model

GOOD = """\
name: job
data: {input: pairs.tsv}
gate: {thresholds: {bleu: {min: 1}}}
"""


@pytest.fixture(autouse=True)
def _job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("a\tb\n")
    Path("job.yaml").write_text(GOOD)


def invoke(*arguments, **settings):
    return CliRunner().invoke(cli.main, arguments, catch_exceptions=False, **settings)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "-h"]])
def test_help_names_the_exit_codes(arguments):
    told = invoke(*arguments).output
    assert re.findall(r"(?m)^ +(\d)  \w", told) == ["0", "1", "2", "3", "4", "5"]


def test_the_installed_command_helps_without_the_stack():
    command = Path(sys.executable).with_name("seq2seq")
    done = subprocess.run([command, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "Exit codes:" in done.stdout
    code = (
        "import sys, seq2seq_tfx.pipeline.cli;"
        "print({'tensorflow', 'tfx', 'apache_beam', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_installed_command_exits_with_its_code(tmp_path):
    command = Path(sys.executable).with_name("seq2seq")
    done = subprocess.run([command, "predict"], capture_output=True, text=True, input="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: expected a pushed model below ")


def test_a_valid_configuration_is_named(tmp_path):
    result = invoke("config", "check", "job.yaml")
    assert (result.exit_code, result.stdout) == (0, "job.yaml: the job 'job' is valid\n")


def test_all_problems_of_a_configuration_go_to_standard_error():
    Path("job.yaml").write_text(f"{GOOD}training: {{epochs: 0, batch: 1}}\nmodel: []\n")
    for command in (["config", "check", "job.yaml"], ["run", "--config", "job.yaml"]):
        result = invoke(*command)
        assert (result.exit_code, result.stdout) == (2, "")
        first, *problems = result.stderr.splitlines()
        assert first == "error: 3 problems in the configuration:"
        assert sorted(problem.split(": ")[:2] for problem in problems) == [
            ["job.yaml:4", "training.batch"],
            ["job.yaml:4", "training.epochs"],
            ["job.yaml:5", "model"],
        ]
    assert not Path("output").exists()


def test_a_missing_configuration_is_one_problem():
    result = invoke("run", "--config", "none.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        "error: 1 problem in the configuration:\nnone.yaml: cannot be read:"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run", "--runner", "x"],
        ["run", "--config", "job.yaml", "--output", "gs://bucket/output"],
        ["gate", "calibrate", "--config", "job.yaml", "--output", "gs://bucket/output"],
        ["run", "--config", "job.yaml", "--component", "A", "--run-id", "1", "--runner", "beam"],
        ["run", "--config", "job.yaml", "--component", "Trainer", "--run-id", ""],
        ["predict", "--nbest", "0"],
        ["explain"],
        ["data", "none"],
        ["train"],
    ],
)
def test_a_wrong_command_line_is_refused(arguments):
    assert invoke(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["gate", "calibrate"],
        ["predict", "--input", "pairs.tsv", "--output", "answers.jsonl"],
    ],
)
def test_workers_that_would_look_for_files_in_vain_are_not_asked(arguments):
    google = "project: my-project, region: europe-west4, temp_location: gs://bucket/tmp"
    beam = f"runner: dataflow, {google}, container_image: example.org/seq2seq:1"
    Path("job.yaml").write_text(f"{GOOD}runner: {{beam: {{{beam}}}}}\n")
    assert invoke("config", "check", "job.yaml").exit_code == 0
    result = invoke(*arguments, "--config", "job.yaml")
    assert result.exit_code == 2 and "received dataflow" in result.output


@pytest.mark.parametrize("command", [["run"], ["gate", "calibrate"]])
def test_an_output_that_would_be_read_as_a_pattern_is_refused(command):
    result = invoke(*command, "--config", "job.yaml", "--output", "runs[1]")
    assert result.exit_code == 2 and "choose another by --output" in result.stderr
    assert not Path("runs[1]").exists()


def test_stopped_by_hand_before_it_begins_it_ends_with_the_code_of_the_signal(monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("seq2seq_tfx.pipeline.config.load_config", interrupted)
    result = invoke("run", "--config", "job.yaml")
    assert (result.exit_code, result.stderr) == (130, "error: stopped by SIGINT\n")


def test_a_night_whose_secrets_cannot_be_read_is_told():
    Path("job.env").symlink_to("job.env")
    Path("job.yaml").write_text(f"{GOOD}notify: {{command: [sh, -c, cat > told]}}\n")
    result = invoke("run", "--config", "job.yaml", "--env", "job.env")
    assert result.exit_code == 2 and "--env: expected a file of lines" in result.stderr
    told = json.loads(Path("told").read_text())
    assert (told["event"], told["exit_code"]) == ("failed", 2)


def test_a_busy_output_is_left_alone():
    Path("out").mkdir()
    with exclusive(Path("out")):
        result = invoke("run", "--config", "job.yaml", "--output", "out")
    assert result.exit_code == 4
    assert result.stderr == (
        f"error: another run is using {Path('out').absolute()}: "
        "wait for it to end, or choose another --output\n"
    )
    assert [path.name for path in Path("out").iterdir()] in ([], [LOCK])


def test_a_failed_run_says_why_and_where_the_log_is(monkeypatch):
    def fail(config, output, runner):
        raise runners.RunFailed("Trainer: no memory")

    monkeypatch.setattr(runners, "run_pipeline", fail)
    result = invoke("run", "--config", "job.yaml")
    assert result.exit_code == 1
    assert result.stderr == "error: Trainer: no memory\nThe whole story is in output/job/run.log\n"


@pytest.mark.parametrize(
    ("blessed", "pushed_to", "code", "told"),
    [
        (True, "output/job/serving/seq2seq/7", 0, "BLESSED and pushed to output/job/serving/"),
        (False, None, 3, "NOT BLESSED: nothing was pushed"),
        (True, None, 3, "blessed, but not servable: nothing was pushed"),
    ],
)
def test_the_exit_code_says_whether_there_is_a_new_model(
    monkeypatch, blessed, pushed_to, code, told
):
    summary = RunSummary(
        nodes=[NodeRun("Trainer", "done", 61.04), NodeRun("Pusher", "cached", 0.0)],
        counts={
            "read": 12, "accepted": 10, "rejected": {"empty_line": 2},
            "examples": {"train": 8, "validation": 1, "test": 1},
        },
        verdict={
            "blessed": blessed, "examples": 1, "candidate": {"bleu": None}, "baseline": None,
            "rules": [
                {"rule": "bleu >= 1", "metric": "bleu", "figure": None, "bound": None,
                 "note": "", "passed": blessed},
            ],
            "confidence": 0.95, "intervals": {"candidate": {"bleu": [None, None]}},
            "cost": {"size_mb": 5.55, "latency_ms": 12.34, "sources": 20},
        },
        infra={"faults": ["no signature 'nbest', only []"]},
        pushed_to=pushed_to and str(Path(pushed_to).absolute()),
        sentences=Path("nowhere"), model_run=Path("nowhere"),
    )  # fmt: skip
    monkeypatch.setattr(runners, "run_pipeline", lambda *_: summary)
    result = invoke("run", "--config", "job.yaml")
    assert result.exit_code == code
    assert told in result.stdout
    assert "12 read, 10 accepted, 2 rejected (empty_line 2)" in result.stdout
    assert "no signature 'nbest', only []" in result.stdout
    assert "export: 5.5 MB, one sentence in 12.3 ms (median of 20)" in result.stdout
    assert f"bleu >= 1: no number, {'passed' if blessed else 'FAILED'}" in result.stdout
    # What a report would be made of is gone: that is told, and changes nothing.
    assert "warning: the report cannot be written" in result.stderr


def test_without_a_model_predict_says_how_to_get_one(tmp_path):
    result = invoke("predict", input="hello\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: expected a pushed model below {tmp_path}/output, found none; "
        "`seq2seq run` makes one, --model names another\n"
    )
    Path("empty").mkdir()
    result = invoke("predict", "--model", "empty", input="hello\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: expected a SavedModel at empty, found no saved_model.pb\n"


def test_predict_answers_on_standard_output_and_all_else_goes_elsewhere(monkeypatch):
    class Upper:
        def __init__(self, directory):
            self.directory = directory

        def predict(self, sources, nbest=1):
            return [[local_model.Hypothesis(s.upper(), -0.5, -1.0)] * nbest for s in sources]

    monkeypatch.setattr(local_model, "LocalModel", Upper)
    result = invoke("predict", "--model", "m", "--nbest", "2", "--scores", input=b"\xc3\xa9\nb")
    assert result.exit_code == 0
    assert result.stdout == "É\t-0.5000\tÉ\t-0.5000\nB\t-0.5000\tB\t-0.5000\n"
    assert result.stderr == "model: m\n"
    result = invoke("predict", "--model", "m", input=b"a\n\xff\n\xffb\nc\n")
    assert (result.exit_code, result.stdout) == (1, "A\n\n\nC\n")
    assert "2 lines were not UTF-8 and got an empty answer" in result.stderr


def test_predict_asks_one_of_a_model_and_a_server(tmp_path):
    (tmp_path / "lines").write_text("a\n")
    for option, value in (("--model", "m"), ("--input", "lines")):
        result = invoke("predict", option, value, "--server", "127.0.0.1:1", input="a\n")
        assert result.exit_code == 2 and f"one of {option} and --server" in result.stderr


@pytest.mark.parametrize("command", [["predict"], ["explain", "hello"]])
def test_the_newest_pushed_version_is_taken(monkeypatch, command):
    for name in ("job/serving/seq2seq/9", "other/serving/seq2seq/10", "job/serving/seq2seq/tmp"):
        folder = Path("output", name)
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text("")
    (Path("output/job/serving/seq2seq/11")).mkdir()  # not finished

    class Silent:
        def __init__(self, directory):
            pass

        def explain(self, sources):
            raise local_model.ModelError("no signature")

    monkeypatch.setattr(local_model, "LocalModel", Silent)
    result = invoke(*command, input="")
    assert result.stderr.startswith("model: output/other/serving/seq2seq/10\n")


def test_a_folder_that_no_number_names_is_no_version_to_serve():
    Path("²").mkdir()
    Path("²/saved_model.pb").write_text("")
    result = invoke("serve", "--model", "²")
    assert result.exit_code == 1 and "expected a version, a folder named by a" in result.stderr


def test_without_a_model_explain_says_how_to_get_one(tmp_path):
    result = invoke("explain", "hello")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: expected a pushed model below {tmp_path}/output")
    assert not Path("explanation.svg").exists()


def test_explain_takes_the_model_and_the_place_it_is_told(monkeypatch):
    class Copy:
        def __init__(self, directory):
            self.directory = directory

        def explain(self, sources):
            tokens = [*sources[0].split(), "</s>"]
            hypothesis = local_model.ExplainedHypothesis(
                sources[0], -0.5, -1.0, tokens, np.eye(len(tokens))
            )
            return [local_model.Explanation(tokens, [hypothesis])]

    monkeypatch.setattr(local_model, "LocalModel", Copy)
    result = invoke("explain", "a b", "--model", "m", "--to", "made/here")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "model: m\n"
    assert result.stdout.startswith("answer: a b\nscore: -0.5000\n")
    assert result.stdout.endswith("made/here.png\nmade/here.svg\n")
    assert Path("made/here.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in Path("made/here.svg").read_text("utf-8")

    result = invoke("explain", "", "--model", "m")
    assert result.exit_code == 1 and "error: expected a text with tokens" in result.stderr
    result = invoke("explain", "\udcff", "--model", "m")
    assert result.exit_code == 2 and "TEXT: it is not UTF-8" in result.stderr


def test_predict_answers_a_file_into_a_file_and_says_what_was_rejected(monkeypatch):
    class Upper:
        def __init__(self, directory):
            self.directory = directory

        def has(self, signature):
            return False

        def predict(self, sources, nbest=1):
            return [[local_model.Hypothesis(s.upper(), -0.5, -1.0)] * nbest for s in sources]

    monkeypatch.setattr(predict_command, "LocalModel", Upper)
    monkeypatch.setattr(predict_command, "most_of", lambda directory: 1)
    Path("in.txt").write_bytes(b"a\n\xff\n")
    command = ("predict", "--model", "m", "--input", "in.txt", "--output")
    result = invoke(*command, "out.jsonl")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "1 lines answered in out.jsonl" in result.stderr
    assert "1 lines were rejected: their rows in out.jsonl say why" in result.stderr
    assert len(Path("out.jsonl").read_text().splitlines()) == 2
    Path("in.txt").write_bytes(b"a\n")
    assert invoke(*command, "out.jsonl").exit_code == 0
    Path("folder").mkdir()
    result = invoke(*command, "folder")
    assert result.exit_code == 1
    assert "expected --output FILE for the answers, received the folder folder" in result.stderr


@pytest.mark.parametrize("where", [(), ("--config", "job.yaml")])
def test_more_hypotheses_than_a_model_gives_are_refused_before_anything_is_begun(
    monkeypatch, where
):
    monkeypatch.setattr(predict_command, "LocalModel", lambda directory: None)
    monkeypatch.setattr(predict_command, "most_of", lambda directory: 3)
    Path("in.txt").write_text("a\n")
    before = sorted(Path().iterdir())
    command = ("predict", "--model", "m", "--input", "in.txt", "--output", "out.jsonl")
    result = invoke(*command, "--nbest", "99", *where)
    assert result.exit_code == 1 and "at most 3 hypotheses" in result.stderr
    assert sorted(Path().iterdir()) == before
