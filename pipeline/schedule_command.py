"""`seq2seq schedule`: writes the files, and says how they are installed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .config_file import ConfigurationError, read_document
from .runner_config import output_of
from .schedule_files import Job, airflow_files, cron_files, systemd_files

FILES: dict[str, Callable[[Job], dict[str, str]]] = {
    "cron": cron_files,
    "systemd": systemd_files,
    "airflow": airflow_files,
}


class CannotSchedule(Exception):
    """No file can say this."""


def job_of(
    config: Path, output: Path | None, at: str, keep: int, timezone: str | None = None
) -> Job:
    """The job of a configuration.

    Args:
      config: its file.
      output: of the runs; None for the configuration's.
      at: HH:MM.
      keep: runs that `gc` leaves.
      timezone: of Airflow, such as Europe/Berlin; None where no file names one.

    Raises:
      ConfigurationError: the file cannot be read, or names no job.
      CannotSchedule: the time or its zone is none, or a path has a line break.
    """
    document = read_document(config)
    name = document.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ConfigurationError([f"{config}: name: expected the job's name, received {name!r}"])
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", at)
    if clock is None:
        raise CannotSchedule(f"--at: expected a time such as 02:30, received '{at}'")
    folder = Path.cwd()
    config, output = config.absolute(), (output or output_of(document, name)).absolute()
    if any("\n" in str(path) for path in (config, output, folder)):
        raise CannotSchedule("a path has a line break, and no such file can name it")
    with suppress(ValueError, OSError, ZoneInfoNotFoundError):
        if timezone:
            ZoneInfo(timezone)
        hour, minute = int(clock[1]), int(clock[2])
        return Job(name, config, output, folder, hour, minute, keep, timezone=timezone)
    raise CannotSchedule(
        f"--timezone: expected the name of a time zone such as Europe/Berlin, received '{timezone}'"
    )


def local_timezone() -> str:
    """The name of this machine's time zone, as it is set for programs; UTC where none is."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named and not named.startswith("/"):
        return named
    place = os.path.realpath(named or "/etc/localtime")
    _, found, name = place.partition("/zoneinfo/")
    if found:
        return name
    with suppress(OSError):
        if name := Path("/etc/timezone").read_text().strip():
            return name
    if os.path.exists(place):
        raise CannotSchedule(
            f"--timezone: expected a name, for the time zone of this machine ({place}) has none"
        )
    return "UTC"


def with_components(job: Job) -> Job:
    """The job with its pipeline's components as tasks.

    Raises:
      ConfigurationError: the configuration is wrong.
      CannotSchedule: components cannot make such runs.
    """
    from .config import load_config
    from .graph import create_pipeline

    config = load_config(job.config)
    if config.unattended.catch_up:
        raise CannotSchedule(
            "unattended.catch_up: a run of single components reads one window; "
            "expected --tasks pipeline, received components"
        )
    nodes = create_pipeline(config, job.output).components
    waits = {node.id: sorted(each.id for each in node.upstream_nodes) for node in nodes}
    return job._replace(components=waits)


def write_schedule(kind: str, job: Job) -> str:
    """Writes the files beside the configuration's working directory.

    Args:
      kind: one of `FILES`.
      job: what is to be run.

    Returns:
      Which they are, and how they are installed.

    Raises:
      OSError: they cannot be written.
    """
    written = []
    for name, text in FILES[kind](job).items():
        path = job.folder / name
        path.write_text(text, "utf-8")
        written.append(f"written: {path}")
    unit = job.unit
    dag = f"{unit.replace('-', '_')}_dag.py"
    how = {
        "airflow": (
            f"install:  cp {dag} $AIRFLOW_HOME/dags/\n"
            f"          airflow dags unpause {unit}\n"
            f"try it:   airflow dags test {unit}\n"
            f"time:     {job.hour:02}:{job.minute:02} in {job.timezone} (--timezone)"
        ),
        "cron": f"install:  (crontab -l; cat {unit}.cron) | crontab -",
        "systemd": (
            "install:  mkdir -p ~/.config/systemd/user\n"
            f"          cp {unit}.service {unit}.timer ~/.config/systemd/user/\n"
            "          systemctl --user daemon-reload\n"
            f"          systemctl --user enable --now {unit}.timer\n"
            "          loginctl enable-linger    # nights without a login, too\n"
            f"look:     systemctl --user list-timers; journalctl --user -u {unit}"
        ),
    }[kind]
    check = f"check it: seq2seq config check {job.config}"
    return "\n".join([*written, how, check, f"secrets:  {job.secrets}, if there, is read first"])
