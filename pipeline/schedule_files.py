"""Files that have cron, systemd or Airflow run a job every night."""

from __future__ import annotations

import os
import shlex
import sys
from glob import escape
from pathlib import Path
from typing import NamedTuple

from .cli_common import TO_MEND, WRONG
from .run_folder import LOG

SCHEDULED_LOG = "scheduled.log"
FINAL = [WRONG, TO_MEND]  # codes of what no repetition mends


class Job(NamedTuple):
    """What is to be run, and when; all paths absolute."""

    name: str
    config: Path
    output: Path
    folder: Path  # the working directory, which paths in the configuration start from
    hour: int
    minute: int
    keep: int  # runs that `gc` leaves
    components: dict[str, list[str]] | None = None  # tasks, with what each waits for
    timezone: str | None = None  # of Airflow, whose own would be UTC

    @property
    def unit(self) -> str:
        """What the files are called."""
        return f"seq2seq-{self.name}"

    @property
    def secrets(self) -> Path:
        """A file of NAME=VALUE lines, such as the address of a webhook."""
        return self.config.with_suffix(".env")

    def command(self, *arguments: str) -> list[str]:
        """A `seq2seq` command on the job's output, by this installation."""
        program = Path(sys.executable).with_name("seq2seq")
        return [str(program), *arguments, "--output", str(self.output)]

    def run_with_secrets(self) -> list[str]:
        """The command of a night; it reads the secrets itself, for no shell may run them."""
        return self.command("run", "--config", str(self.config), "--env", str(self.secrets))


def cron_files(job: Job) -> dict[str, str]:
    """A line for a crontab, the script that it runs, and the rotation of logs."""
    script = f"""\
# A night of the job '{job.name}'. Written by `seq2seq schedule cron`.
{{ # Read as a whole before it begins, so that it may be written anew meanwhile.
cd {shlex.quote(str(job.folder))} && mkdir -p {shlex.quote(str(job.output))} || exit
exec >> {shlex.quote(str(job.output / SCHEDULED_LOG))} 2>&1
export {" ".join(f"{name}={shlex.quote(value)}" for name, value in _environment().items())}
{shlex.join(_rotate(job))}
{shlex.join(job.run_with_secrets())}
echo "exit code $?"
{shlex.join(job.command("gc", "--keep", str(job.keep)))}
exit
}}
"""
    # Not the commands themselves: cron takes lines of 998 characters. A bare % would end one.
    path = job.folder / f"{job.unit}.sh"
    line = shlex.join(["/bin/sh", str(path)]).replace("%", "\\%")
    crontab = f"""\
# The job '{job.name}', every night. Written by `seq2seq schedule cron`.
#
# Two runs never overlap: one that finds the output in use ends with code 4. A night that
# this machine slept through is caught up by the next (unattended.catch_up, data.window).
# {job.output / SCHEDULED_LOG} has what each run said and its exit code:
# 0 pushed, 1 error, 2 wrong configuration, 3 not blessed, 4 busy, 5 data gate, 6 to be mended.
{job.minute} {job.hour} * * * {line}
"""
    return {f"{job.unit}.cron": crontab, path.name: script, **_logrotate(job)}


def systemd_files(job: Job) -> dict[str, str]:
    """A service, its timer, and the rotation of logs."""
    environment = "\n".join(
        f'Environment="{_specifiers(name)}={_specifiers(value)}"'
        for name, value in _environment().items()
    )
    service = f"""\
# The job '{job.name}', once. Written by `seq2seq schedule systemd`.
[Unit]
Description=seq2seq job {job.name}
StartLimitIntervalSec=6h
StartLimitBurst=3

[Service]
Type=oneshot
WorkingDirectory={_specifiers(str(job.folder))}
{environment}
EnvironmentFile=-{_specifiers(escape(str(job.secrets)))}
ExecStartPre=/usr/bin/env mkdir -p {_systemd(str(job.output))}
ExecStartPre=-{_systemd("/usr/bin/env", *_rotate(job))}
ExecStart={_systemd(*job.command("run", "--config", str(job.config)))}
# However the run ended: most of all, room is needed after one that filled the disk.
ExecStopPost=-{_systemd(*job.command("gc", "--keep", str(job.keep)))}
# 3: not blessed, 4: another run is under way, 5: the data gate. The old model serves on,
# and `notify` has told whom it concerns: no fault of the service.
SuccessExitStatus=3 4 5
# What was killed, as for lack of memory, is gone on with: finished components come from the
# cache, a training from its last checkpoint. Errors are retried by unattended.retries.
Restart=on-abnormal
RestartSec=60
# On SIGTERM a training writes a checkpoint first; gc has as long.
KillMode=mixed
TimeoutStopSec=600
"""
    timer = f"""\
# Starts {job.unit}.service every night. Written by `seq2seq schedule systemd`.
[Unit]
Description=seq2seq job {job.name}, every night

[Timer]
OnCalendar=*-*-* {job.hour:02}:{job.minute:02}:00
# A night that this machine slept through is run when it wakes.
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {
        f"{job.unit}.service": service,
        f"{job.unit}.timer": timer,
        **_logrotate(job),
    }


def airflow_files(job: Job) -> dict[str, str]:
    """A DAG for Airflow 2, whose scheduler never imports the job's environment, and rotation."""
    rotate, clean = _rotate(job), job.command("gc", "--keep", str(job.keep))
    commands = (
        shlex.join(job.run_with_secrets()),
        f"{{ {shlex.join(rotate)}; {shlex.join(clean)}; }}",
    )
    before = f"cd {shlex.quote(str(job.folder))} &&"
    run, gc = (repr(_no_template(f"{before} {command}")) for command in commands)
    environment = repr(_environment())
    tasks, more = _ONE_TASK.format(run=run), ""
    if job.components:
        waits = "".join(f"        {name!r}: {after!r},\n" for name, after in job.components.items())
        tasks = _TASKS.format(run=run, waits=waits)
        environment = repr(_environment() | {"SEQ2SEQ_RUN": "{{ run_id }}"})
        more = "\n    max_active_tasks=1,  # one process at a time uses an output folder"
    dag = f'''\
"""The job {job.name!r}, every night. Written by `seq2seq schedule airflow`.

It belongs into Airflow's folder of DAGs. What a run says stands in its task's log. A task
that was killed is tried again, and the run goes on from what is finished.
"""

from datetime import timedelta

import pendulum
from airflow import DAG
from airflow.exceptions import AirflowException, AirflowFailException
from airflow.operators.bash import BashOperator


class Command(BashOperator):
    """A command that is not tried again where that would end in the same way."""

    def execute(self, context):
        try:
            return super().execute(context)
        except AirflowException as error:
            if self.subprocess_hook.sub_process.returncode in {FINAL}:
                raise AirflowFailException(str(error)) from error
            raise


with DAG(
    dag_id={job.unit!r},
    schedule="{job.minute} {job.hour} * * *",  # by the clock of this time zone:
    start_date=pendulum.datetime(2026, 1, 1, tz={job.timezone!r}),
    catchup=False,  # spans that nights have missed are caught up by the job itself
    max_active_runs=1,{more}
    default_args={{
        "env": {environment},
        "append_env": True,
        "retries": 2,
        "retry_delay": timedelta(minutes=5),  # about; then twice as long
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
    }},
    tags=["seq2seq"],
) as dag:
    # Not blessed, another run is under way, the data gate: the old model serves on.
    ends = [3, 4, 5]
{tasks}
    # A teardown follows in any case, and has no part in whether the night went well.
    gc = Command(task_id="gc", bash_command={gc}).as_teardown()
    list(tasks.values()) >> gc
'''
    return {f"{job.unit.replace('-', '_')}_dag.py": dag, **_logrotate(job)}


_ONE_TASK = """\
    run = Command(task_id="run", bash_command={run}, skip_on_exit_code=ends)
    tasks = {{"run": run}}"""
# Its tasks are those of one run, which its id holds together in ML Metadata.
_TASKS = """\
    run = {run}
    waits = {{
{waits}    }}
    tasks = {{
        name: Command(
            task_id=name,
            bash_command=f'{{run}} --component {{name}} --run-id "$SEQ2SEQ_RUN"',
            skip_on_exit_code=ends,
        )
        for name in waits
    }}
    for name, others in waits.items():
        for other in others:
            tasks[other] >> tasks[name]"""


def _no_template(command: str) -> str:
    """A command in which Airflow's templates see nothing, and no file to be read."""
    return f"{{% raw %}}{command} {{% endraw %}}"


def _rotate(job: Job) -> list[str]:
    """The command that rotates logs, by the file of `_logrotate`."""
    rotation = job.folder / f"{job.unit}.logrotate"
    return ["logrotate", "--state", str(job.output / "logrotate.state"), str(rotation)]


def _logrotate(job: Job) -> dict[str, str]:
    """The rotation of logs."""
    files = " ".join(f'"{job.output / name}"' for name in (LOG, SCHEDULED_LOG))
    text = f"""\
# Written by `seq2seq schedule`.
{files} {{
    size 20M
    rotate 8
    compress
    missingok
    notifempty
    copytruncate
}}
"""
    return {f"{job.unit}.logrotate": text}


def _environment() -> dict[str, str]:
    """What a scheduler does not bring by itself."""
    folder = Path(sys.executable).parent
    # logrotate is a program of the system's, in Debian among those of sbin.
    system = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"]
    path = os.pathsep.join([str(folder), *system])
    return {"PATH": path, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def _systemd(*words: str) -> str:
    """The words of a command in a unit file, quoted."""
    quoted = []
    for word in words:
        escaped = _specifiers(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
        plain = word.replace("/", "").replace("-", "").replace(".", "").replace("_", "")
        quoted.append(escaped if plain.isalnum() and plain.isascii() else f'"{escaped}"')
    return " ".join(quoted)


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
