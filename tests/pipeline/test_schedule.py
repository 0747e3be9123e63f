"""The files of `seq2seq schedule` are ones that cron and systemd take, whatever the paths."""

import configparser
import re
import shlex
import shutil
import stat
import subprocess
import sys
from contextlib import nullcontext
from glob import glob
from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2seq_tfx.pipeline.schedule_command import CannotSchedule, job_of
from seq2seq_tfx.pipeline.schedule_files import Job, airflow_files, cron_files, systemd_files

from .test_run_records import seq2seq

ODD = "it's 100% $HOME"
SECTIONS = {"service": {"Unit", "Service"}, "timer": {"Unit", "Timer", "Install"}}


@pytest.fixture(params=["plain", ODD])
def folder(request, tmp_path, monkeypatch):
    folder = tmp_path / request.param
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("job.yaml").write_text("name: job\n")
    return folder


def test_the_line_for_cron_runs_the_job_as_cron_would(folder):
    told = seq2seq("schedule", "cron", "--config", "job.yaml", "--at", "3:07", "--keep", 5)
    assert told.returncode == 0, told.stderr
    assert "install:  (crontab -l; cat seq2seq-job.cron) | crontab -" in told.stdout
    lines = Path("seq2seq-job.cron").read_text().splitlines()
    (line,) = [line for line in lines if line and not line.startswith("#")]
    when, command = re.fullmatch(r"((?:\S+ ){5})(.*)", line).groups()
    assert when == "7 3 * * * "
    # What cron does: an unescaped % ends the command, an escaped one is a %.
    assert not re.search(r"(?<!\\)%", command)
    command = command.replace("\\%", "%")

    # Programs in place of the installed ones tell how they were called.
    fakes = folder.parent / "fakes"
    fakes.mkdir()
    for name in ("seq2seq", "logrotate"):
        fake = fakes / name
        fake.write_text(f'#!/bin/sh\necho {name} "$@"\nexit 3\n')
        fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    script = Path("seq2seq-job.sh")
    script.write_text(script.read_text().replace(str(Path(sys.executable).parent), str(fakes)))
    Path("job.env").write_text("HOOK=https://chat/?key=K&token=(T); touch harm\n")
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd="/", env={"PATH": f"{fakes}:/usr/bin:/bin"}
    )
    assert done.returncode == 3
    output = folder / "output" / "job"
    assert (output / "scheduled.log").read_text().splitlines() == [
        f"logrotate --state {output}/logrotate.state {folder}/seq2seq-job.logrotate",
        f"seq2seq run --config {folder}/job.yaml --env {folder}/job.env --output {output}",
        "exit code 3",
        f"seq2seq gc --keep 5 --output {output}",
    ]
    assert not Path("harm").exists()


def test_a_line_for_cron_is_none_that_it_finds_too_long(tmp_path):
    folder = tmp_path.joinpath(*["a folder of a folder"] * 10)
    job = Job("job", folder / "job.yaml", folder / "output", folder, 3, 7, 5)
    # Debian's crontab(1) refuses more than 998 with "command too long".
    assert max(map(len, cron_files(job)["seq2seq-job.cron"].splitlines())) < 998


def test_without_an_option_the_output_is_what_the_configuration_names(folder):
    Path("job.yaml").write_text("name: job\nrunner: {output: on/disk}\n")
    assert job_of(Path("job.yaml"), None, "3:07", 5).output == folder / "on" / "disk"
    assert job_of(Path("job.yaml"), Path("x"), "3:07", 5).output == folder / "x"


def test_units_are_what_systemd_takes(folder):
    told = seq2seq("schedule", "systemd", "--config", "job.yaml", "--output", "else/where")
    assert told.returncode == 0, told.stderr
    for kind, sections in SECTIONS.items():
        parser = configparser.RawConfigParser(strict=False, delimiters="=", comment_prefixes="#")
        parser.optionxform = str
        parser.read(f"seq2seq-job.{kind}")
        assert set(parser.sections()) == sections
    assert "OnCalendar=*-*-* 02:30:00\n" in Path("seq2seq-job.timer").read_text()
    service = Path("seq2seq-job.service").read_text()
    assert "SuccessExitStatus=3 4 5\n" in service
    # A second ExecStart would not be reached where the first fails.
    assert service.count("\nExecStart=") == 1
    assert re.search(r'"PATH=\S*:/usr/sbin[:"]', service)  # where Debian has logrotate
    (after,) = re.findall(r"\nExecStopPost=-(.*)", service)
    assert " gc --keep 14 " in after
    assert str(folder).replace("%", "%%") in service
    assert not re.search(r"(?<!%)%(?!%)", service)
    if shutil.which("systemd-analyze"):
        files = [f"./seq2seq-job.{kind}" for kind in SECTIONS]
        done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_secrets_are_found_in_a_folder_whose_name_is_a_pattern(tmp_path):
    folder = tmp_path / "job [1]"
    job = Job("job", folder / "job.yaml", tmp_path / "output", folder, 3, 7, 5)
    # systemd.exec(5): "an absolute filename or wildcard expression"; what is not found is no error.
    (named,) = re.findall(r"\nEnvironmentFile=-(.*)", systemd_files(job)["seq2seq-job.service"])
    folder.mkdir()
    job.secrets.touch()
    assert glob(named) == [str(job.secrets)]


class Failed(Exception):
    """AirflowException."""


class FailedForGood(Failed):
    """AirflowFailException."""


class Task:
    """BashOperator, of a command that ends with a code."""

    def __init__(self, task_id, bash_command, **options):
        self.name, self.command, self.options, self.after = task_id, bash_command, options, []
        self.code = 0

    def execute(self, context):
        self.subprocess_hook = SimpleNamespace(sub_process=SimpleNamespace(returncode=self.code))
        if self.code:
            raise Failed(f"exit code {self.code}")

    def as_teardown(self):
        self.options["teardown"] = True
        return self

    def __rshift__(self, other):
        other.after.append(self.name)

    def __rrshift__(self, others):
        self.after += [other.name for other in others]


@pytest.fixture
def airflow(monkeypatch):
    """Runs the file of a DAG as Airflow does; gives its options, and all that it names."""
    options = {}

    def dag(**given):
        options.update(given)
        return nullcontext()

    modules = {
        "airflow": {"DAG": dag},
        "airflow.exceptions": {"AirflowException": Failed, "AirflowFailException": FailedForGood},
        "airflow.operators": {},
        "airflow.operators.bash": {"BashOperator": Task},
        "pendulum": {"datetime": lambda *day, tz: (*day, tz)},
    }
    for name, content in modules.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**content))

    def run(text):
        names = {"__name__": "dag"}
        exec(text, names)
        return options, names

    return run


def test_airflow_gets_a_task_for_each_component_with_what_it_waits_for(folder, airflow):
    waits = {"First": [], "Second": ["First"], "Third": ["First", "Second"]}
    job = job_of(Path("job.yaml"), None, "3:07", 5, "Europe/Berlin")._replace(components=waits)
    text, _ = airflow_files(job).values()
    options, names = airflow(text)
    made = {task.name: task for task in [*names["tasks"].values(), names["gc"]]}
    assert {name: task.after for name, task in made.items()} == waits | {"gc": list(waits)}
    assert made["gc"].options == {"teardown": True}
    assert "seq2seq-job.logrotate" in made["gc"].command
    assert "/usr/sbin" in options["default_args"]["env"]["PATH"].split(":")
    assert options["max_active_tasks"] == 1 and options["schedule"] == "7 3 * * *"
    assert options["default_args"]["env"]["SEQ2SEQ_RUN"] == "{{ run_id }}"
    for name in waits:
        command = made[name].command.replace("{% raw %}", "").replace("{% endraw %}", "")
        assert shlex.split(command)[:2] == ["cd", str(folder)]
        env = shlex.split(command).index("--env")
        assert shlex.split(command)[env + 1] == str(folder / "job.env")
        assert shlex.split(command)[-4:] == ["--component", name, "--run-id", "$SEQ2SEQ_RUN"]
        assert made[name].options == {"skip_on_exit_code": [3, 4, 5]}


def test_airflow_tries_again_what_may_pass_ever_later_and_nothing_else(folder, airflow):
    text, _ = airflow_files(job_of(Path("job.yaml"), None, "3:07", 5, "UTC")).values()
    options, names = airflow(text)
    assert options["default_args"]["retry_exponential_backoff"]
    for code, end in {1: Failed, 137: Failed, 2: FailedForGood, 6: FailedForGood}.items():
        names["run"].code = code
        with pytest.raises(Failed) as raised:
            names["run"].execute({})
        assert raised.type is end, code
    names["run"].code = 0
    names["run"].execute({})


def test_the_time_under_airflow_is_one_of_this_machine_unless_a_zone_is_named(tmp_path, airflow):
    def started(*options, zone="America/New_York"):
        job = tmp_path / "job.yaml"
        job.write_text("name: job\n")
        command = [Path(sys.executable).with_name("seq2seq"), "schedule", *options]
        given = {"cwd": tmp_path, "env": {"TZ": zone}, "capture_output": True, "text": True}
        done = subprocess.run([*command, "--config", "job.yaml"], **given)
        if done.returncode:
            return done.stderr
        told, _ = airflow((tmp_path / "seq2seq_job_dag.py").read_text())
        assert f"02:30 in {told['start_date'][-1]}" in done.stdout
        return told["start_date"]

    assert started("airflow") == (2026, 1, 1, "America/New_York")
    assert started("airflow", "--timezone", "Europe/Berlin") == (2026, 1, 1, "Europe/Berlin")
    assert "expected the name of a time zone" in started("airflow", "--timezone", "Berlin")
    assert "--timezone: expected" in started("airflow", zone="XYZ-3")
    assert "--timezone is for airflow" in started("cron", "--timezone", "Europe/Berlin")


def test_logs_are_rotated_without_losing_the_open_one(folder):
    seq2seq("schedule", "cron", "--config", "job.yaml")
    rotation = Path("seq2seq-job.logrotate").read_text()
    for name in ("run.log", "scheduled.log"):
        assert f'"{folder}/output/job/{name}"' in rotation
    assert "copytruncate" in rotation
    if shutil.which("logrotate"):
        command = ["logrotate", "--debug", "seq2seq-job.logrotate"]
        assert subprocess.run(command, capture_output=True).returncode == 0


def test_what_cannot_be_scheduled_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("job.yaml").write_text("name: job\n")
    for at in ("24:00", "2", "02:30:00", ""):
        with pytest.raises(CannotSchedule, match="expected a time such as 02:30"):
            job_of(Path("job.yaml"), None, at, 1)
    with pytest.raises(CannotSchedule, match="line break"):
        job_of(Path("job.yaml"), Path("a\nb"), "1:00", 1)
    wrong = seq2seq("schedule", "cron", "--config", "job.yaml", "--tasks", "components")
    assert wrong.returncode == 2 and "--tasks components is for airflow" in wrong.stderr
    Path("other.yaml").write_text("name: [x]\n")
    wrong = seq2seq("schedule", "cron", "--config", "other.yaml")
    assert wrong.returncode == 2 and "other.yaml: name: expected the job's name" in wrong.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["job.yaml", "other.yaml"]
