"""Airflow runs the job that `seq2seq schedule airflow` writes down (`make airflow`)."""

import json
import os
import subprocess
import time

import pytest

from .jobs import seq2seq, words, write_job

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
        """The state of each task of a run."""
        tasks = self.listed("tasks", "states-for-dag-run", DAG, run)
        return {task["task_id"]: task["state"] for task in tasks}

    def runs(self):
        return self.listed("dags", "list-runs", "--dag-id", DAG)

    def listed(self, *arguments):
        return json.loads(self(*arguments, "--output", "json").splitlines()[-1])


@pytest.fixture
def airflow(tmp_path):
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    pairs = "".join(f"{word}\t{word[0]}\n" for word in words(1, 600))
    (tmp_path / "pairs.tsv").write_text(pairs)
    job = write_job(tmp_path, "tiny", epochs=4, worst=0.9)
    told = seq2seq("schedule", "airflow", "--config", job, "--at", "2:30", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    (tmp_path / "seq2seq_tiny_dag.py").rename(home / "dags" / "seq2seq_tiny_dag.py")
    command = Airflow(home)
    command("db", "migrate")
    return command


def runs_of(folder):
    told = seq2seq("runs", "--output", "output/tiny", "--json", cwd=folder)
    return json.loads(told.stdout)


def test_a_test_of_the_dag_and_a_scheduled_interval_run_the_job(airflow, tmp_path):
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
