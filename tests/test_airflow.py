"""Airflow runs the job that `seq2seq schedule airflow` writes down (`make airflow`)."""

import json
import os
import subprocess
import time

import pytest

from .jobs import seq2seq, words, write_job
from .pipeline.recorded import Recorded

AIRFLOW = os.environ.get("SEQ2SEQ_AIRFLOW")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AIRFLOW, reason="`make airflow` installs Airflow and runs this"),
]
DAG = "seq2seq-tiny"
SECONDS = 600


class Airflow:
    """The `airflow` command with a home of its own: sqlite, no examples, loopback."""

    def __init__(self, home):
        self.environment = {
            "PATH": f"{os.path.dirname(AIRFLOW)}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "5",
        }

    def __call__(self, *arguments):
        done = subprocess.run(
            [AIRFLOW, *arguments], env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def states(self, run):
        """The state of each task of a run, which `make airflow` shows."""
        tasks = self.listed("tasks", "states-for-dag-run", DAG, run)
        states = {task["task_id"]: task["state"] for task in tasks}
        print(f"\n{run}:", ", ".join(f"{task} {state}" for task, state in states.items()))
        return states

    def runs(self):
        return self.listed("dags", "list-runs", "--dag-id", DAG)

    def listed(self, *arguments):
        return json.loads(self(*arguments, "--output", "json").splitlines()[-1])


@pytest.fixture
def airflow(tmp_path):
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    command = Airflow(home)
    command("db", "migrate")
    return command


def install(folder, *options, retry_delay="timedelta(minutes=5)", **values):
    """Has Airflow know the job, as its user would."""
    pairs = "".join(f"{word}\t{word[0]}\n" for word in words(1, 600))
    (folder / "pairs.tsv").write_text(pairs)
    job = write_job(folder, "tiny", **{"worst": 0.9, **values})
    schedule = ("schedule", "airflow", "--config", job, "--at", "2:30", *options)
    told = seq2seq(*schedule, cwd=folder)
    assert told.returncode == 0, told.stderr
    written = folder / "seq2seq_tiny_dag.py"
    text = written.read_text().replace("timedelta(minutes=5)", retry_delay)
    (folder / "airflow" / "dags" / written.name).write_text(text)


def runs_of(folder):
    told = seq2seq("runs", "--output", "output/tiny", "--json", cwd=folder)
    return json.loads(told.stdout)


def test_a_test_of_the_dag_and_a_scheduled_interval_run_the_job(airflow, tmp_path):
    install(tmp_path)
    assert "No data found" in airflow("dags", "list-import-errors")
    airflow("dags", "reserialize")
    airflow("dags", "test", DAG, "2026-03-01")
    (tested,) = airflow.runs()
    assert airflow.states(tested["run_id"]) == {"run": "success", "gc": "success"}
    assert len(list((tmp_path / "output/tiny/serving/seq2seq").iterdir())) == 1

    airflow("dags", "unpause", DAG)
    scheduler = subprocess.Popen(
        [AIRFLOW, "scheduler"],
        env=airflow.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + SECONDS
        scheduled = []
        while time.monotonic() < until and not scheduled:
            time.sleep(5)
            scheduled = [
                run
                for run in airflow.runs()
                if run["run_id"].startswith("scheduled") and run["state"] in ("success", "failed")
            ]
    finally:
        os.killpg(scheduler.pid, 15)
        scheduler.wait(60)
    (run,) = scheduled
    assert airflow.states(run["run_id"]) == {"run": "success", "gc": "success"}
    assert [one["verdict"] for one in runs_of(tmp_path)] == ["pushed", "pushed"]


COMPONENTS = [
    "PairExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "BitextValidator",
    "TokenizerTrainer",
    "Transform",
    "Trainer",
    "Baseline",
    "Evaluator",
    "Gate",
    "InfraValidator",
    "Pusher",
]


def test_components_are_tasks_and_a_killed_training_is_gone_on_with(airflow, tmp_path):
    install(tmp_path, "--tasks", "components", retry_delay="timedelta(seconds=1)", epochs=30)
    assert "No data found" in airflow("dags", "list-import-errors")
    airflow("dags", "reserialize")
    test = subprocess.Popen(
        [AIRFLOW, "dags", "test", DAG, "2026-03-01"],
        env=airflow.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log, killed = [], None
    for line in test.stdout:
        log.append(line)
        if killed is None and "--component Trainer" in line:
            killed = kill_after_a_checkpoint(tmp_path / "output/tiny")
    assert test.wait() == 0, "".join(log)
    (run,) = airflow.runs()
    assert airflow.states(run["run_id"]) == dict.fromkeys([*COMPONENTS, "gc"], "success")
    # One night is one run, whatever its processes.
    (told,) = runs_of(tmp_path)
    assert told["name"] == run["run_id"] and told["verdict"] == "pushed"
    assert set(told["components"]) == set(COMPONENTS)
    assert "going on from" in (tmp_path / "output/tiny/run.log").read_text()


def kill_after_a_checkpoint(output):
    """Kills the process that trains, as the kernel does where memory is short."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if list(output.glob("artifacts/Trainer/checkpoints/*/*.npz")):
            # Not the shell around it.
            pattern = f"^[^ ]*python[^ ]* .*{output} --component Trainer"
            found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True)
            for process in found.stdout.split():
                os.kill(int(process), 9)
            return found.stdout
        time.sleep(0.05)
    raise AssertionError("no checkpoint was written")


@pytest.mark.parametrize("tasks", ["pipeline", "components"])
def test_a_night_that_failed_is_a_failed_run_and_gc_follows(airflow, tmp_path, tasks):
    install(tmp_path, "--tasks", tasks, retry_delay="timedelta(seconds=1)")
    Recorded(tmp_path / "output" / "tiny").run(version=11)
    with (tmp_path / "tiny.yaml").open("a") as job:
        job.write("unattended: {reserve_mb: 1000000000}\n")
    airflow("dags", "reserialize")
    with pytest.raises(AssertionError, match="failed"):  # its exit code
        airflow("dags", "test", DAG, "2026-03-01")
    (run,) = airflow.runs()
    assert run["state"] == "failed"
    names = ["run"] if tasks == "pipeline" else COMPONENTS
    first, *others = names
    states = {first: "failed", **dict.fromkeys(others, "upstream_failed"), "gc": "success"}
    assert airflow.states(run["run_id"]) == states


def test_the_data_gate_ends_the_night_and_is_not_tried_again(airflow, tmp_path):
    install(tmp_path, "--tasks", "components", retry_delay="timedelta(seconds=1)")
    (tmp_path / "pairs.tsv").write_text("".join(f"{word}\t{word}\n" for word in words(1, 600)))
    with (tmp_path / "tiny.yaml").open("a") as job:
        job.write("data_validation: {max_identical: 0.1}\n")
    airflow("dags", "reserialize")
    airflow("dags", "test", DAG, "2026-03-01")
    (run,) = airflow.runs()
    passed = {"PairExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "gc"}
    assert airflow.states(run["run_id"]) == {
        name: "success" if name in passed else "skipped" for name in [*COMPONENTS, "gc"]
    }
    (told,) = runs_of(tmp_path)
    assert (told["verdict"], told["components"]["BitextValidator"]) == ("data_gate", "failed")
