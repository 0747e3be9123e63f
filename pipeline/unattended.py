"""The run that a scheduler calls: which spans, from which model, again or not, and who is told."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ..components.data_config import available_spans, is_local, with_spans
from ..components.errors import BadData, PipelineError, links_of, reason_of
from ..components.spans import Span
from ..components.trainer import LAST_BLESSED
from . import runners
from .cli_common import BUSY, DATA_GATE, ERROR, NOT_RELEASED, STOPPED, failure, say
from .config import PipelineConfig
from .disk import needed_bytes
from .lineage import last_blessed
from .night_config import Event
from .notify import notify
from .reporting import print_summary
from .run_folder import LOG, OutputBusy
from .run_records import (
    SETTLED,
    NoRuns,
    RunRecord,
    Verdict,
    newest_id,
    read_runs,
    record,
    run_named,
)
from .run_report import mark_report, write_report
from .span_plan import due
from .summary import RunSummary, summarize

PUSHER = "Pusher"  # which says whether a model is released
UNRECORDED = "how the run ended cannot be recorded"

EVENTS: dict[Verdict, Event] = {
    "pushed": "blessed",
    "not_blessed": "not_blessed",
    "data_gate": "data_gate",
    "failed": "failed",
}


class Ended(NamedTuple):
    """How a run ended."""

    verdict: Verdict
    code: int
    reason: str = ""
    summary: RunSummary | None = None
    logged: bool = False  # whether the log knows more
    may_pass: bool = False  # whether the same run might end otherwise


def run_job(config: PipelineConfig, config_path: Path, output: Path, runner: str) -> int:
    """Runs a job on the spans that are due, oldest first.

    Args:
      config: the job.
      config_path: where it is written.
      output: the folder of all that it makes.
      runner: one of `runners.RUNNERS`.

    Returns:
      The exit code of the last run.
    """
    code = 0
    try:
        nights = spans_due(config, output)
    except Exception as error:
        return _close(config, output, None, _failed(error), [])
    for number, spans in enumerate(nights, start=1):
        if spans:
            of = f" (run {number} of {len(nights)})" if len(nights) > 1 else ""
            say(f"spans: {', '.join(map(str, spans))}{of}")
        code, goes_on = _night(config, config_path, output, runner, spans)
        if not goes_on:
            break
    return code


def spans_due(config: PipelineConfig, output: Path) -> list[list[Span]]:
    """The spans of each run that is due, the newest last; one without any where data has none.

    Args:
      config: the job.
      output: the folder of earlier runs.

    Raises:
      PipelineError: data has spans, and there is none.
    """
    available = available_spans(config.data)
    if not available:
        return [[]]
    runs: list[RunRecord] = []
    with suppress(NoRuns):
        runs = read_runs(output)
    return due(available, runs, config.data.window, config.unattended.catch_up)


def resolved(config: PipelineConfig, output: Path, spans: list[Span]) -> PipelineConfig:
    """The job of one run: its spans' files, and the model that it begins with.

    Args:
      config: the job; unchanged where its data has no spans.
      output: the folder of earlier runs.
      spans: oldest first.
    """
    if not spans:
        return config
    training = config.training
    if training.warm_start == LAST_BLESSED:
        with suppress(NoRuns):
            found = last_blessed(output, spans[-1].number)
            start = str(Path(found[0]) / "Format-Serving") if found else None
            training = training.model_copy(update={"warm_start": start})
        if training.warm_start == LAST_BLESSED:
            training = training.model_copy(update={"warm_start": None})
        say(f"warm start: {training.warm_start or 'none, for no model was blessed'}")
    data = with_spans(config.data, spans)
    return config.model_copy(update={"data": data, "training": training})


def _night(
    config: PipelineConfig, config_path: Path, output: Path, runner: str, spans: list[Span]
) -> tuple[int, bool]:
    """One run and its repetitions: exit code, and whether a next one may follow."""
    settings = config.unattended
    for attempt in range(settings.retries + 1):
        ended, run = _run_once(config, output, runner, spans)
        if not ended.may_pass or attempt == settings.retries:
            break
        wait = settings.backoff_seconds * 2**attempt
        failure(f"{ended.reason}\nretry {attempt + 1} of {settings.retries} in {wait:g} s")
        time.sleep(wait)
    return _conclude(config, config_path, output, run, ended, spans), ended.verdict in SETTLED


def _conclude(
    config: PipelineConfig,
    config_path: Path,
    output: Path,
    run: int | None,
    ended: Ended,
    spans: list[Span],
) -> int:
    """Says what came of a run, to the terminal, in a report and to the hooks."""
    if ended.summary:
        with _warned("the report cannot be written"):
            print_summary(ended.summary, config_path)
            say(f"report: {write_report(config.name, ended.summary, output)}")
    elif ended.code != BUSY:
        with _warned("the report of the run before cannot be marked"):
            mark_report(output, ended.verdict.replace("_", " "), ended.reason)
    return _close(config, output, run, ended, spans)


def run_one(config: PipelineConfig, config_path: Path, output: Path, name: str, run: str) -> int:
    """Runs one component for a scheduler whose tasks are components.

    The first of them chooses the spans, the others take its choice. How the run ended is
    kept, and told, where a component fails, where no model is released, and after the last.

    Args:
      config: the job.
      config_path: where it is written.
      output: the folder of all that it makes.
      name: the component's.
      run: the id that all components of the run share.

    Returns:
      The exit code.
    """
    spans: list[Span] = []
    try:
        begun = run_named(output, run)
        if begun and "PairExampleGen" in begun.components:
            spans = list(map(Span.parse, begun.spans))
        else:
            spans = spans_due(config, output)[0]
    except Exception as error:
        return _close(config, output, None, _failed(error), [])

    def work(chosen: PipelineConfig) -> RunSummary | None:
        left = runners.run_component(chosen, output, name, run)
        if name != PUSHER and left:
            return None
        summary = summarize(output)
        ends = not left if summary.released else name == PUSHER
        return summary if ends else None

    ended = _ended(config, output, spans, work)
    if ended is None:
        return 0
    number = None
    with _warned(UNRECORDED):
        begun = run_named(output, run)
        if begun and ended.code != BUSY:
            number = record(output, begun.id - 1, ended.verdict, ended.reason)
    return _conclude(config, config_path, output, number, ended, spans)


def _run_once(
    config: PipelineConfig, output: Path, runner: str, spans: list[Span]
) -> tuple[Ended, int | None]:
    """How a run ended, and its id, where it has one."""
    before: int | None = None

    def work(chosen: PipelineConfig) -> RunSummary:
        nonlocal before
        before = newest_id(output)
        return runners.run_pipeline(chosen, output, runner)

    ended = _ended(config, output, spans, work)
    assert ended is not None
    run = None
    # The newest run of a busy folder is another's.
    if before is not None and ended.code != BUSY:
        with _warned(UNRECORDED):
            run = record(output, before, ended.verdict, ended.reason)
    return ended, run


def _ended(
    config: PipelineConfig,
    output: Path,
    spans: list[Span],
    work: Callable[[PipelineConfig], RunSummary | None],
) -> Ended | None:
    """How work on spans ended; None if it went well and there is more to do."""
    try:
        chosen = resolved(config, output, spans)
        lacking = _lacking_space(chosen, output)
        if lacking:
            return Ended("failed", ERROR, lacking)
        summary = work(chosen)
    except OutputBusy as error:
        return Ended("running", BUSY, str(error))
    except runners.RunStopped as error:
        return Ended("stopped", STOPPED + error.number, f"stopped by {error}")
    except Exception as error:  # whatever it is, there are hooks to tell
        return _failed(error)
    if summary is None:
        return None
    if summary.released:
        return Ended("pushed", 0, summary=summary)
    broken = [rule["rule"] for rule in summary.verdict["rules"] if not rule["passed"]]
    reason = "; ".join([*broken, *summary.infra["faults"]])
    return Ended("not_blessed", NOT_RELEASED, reason, summary)


def _failed(error: Exception) -> Ended:
    """How a run ended that an error ended."""
    chain = list(links_of(error))
    logged = isinstance(error, runners.RunFailed)
    reason = str(error) if logged else reason_of(error)
    # A file's name may be no UTF-8; ML Metadata and JSON take nothing else.
    reason = reason.encode("utf-8", "backslashreplace").decode()
    if any(isinstance(link, BadData) for link in chain):
        return Ended("data_gate", DATA_GATE, reason, logged=logged)
    mendable = any(isinstance(link, PipelineError) for link in chain)
    if not (logged or mendable):
        say("".join(traceback.format_exception(error)), err=True)  # no log has it
    return Ended("failed", ERROR, reason, logged=logged, may_pass=not mendable)


@contextmanager
def _warned(what: str) -> Iterator[None]:
    """Work after the end of a run: it may fail, and the run has ended as it has."""
    try:
        yield
    except Exception as error:
        say(f"warning: {what}: {reason_of(error)}", err=True)


def _lacking_space(config: PipelineConfig, output: Path) -> str | None:
    """What there is too little of on the disk for one more run, if so."""
    files = [path for path in config.data.patterns if is_local(path)]
    needed = needed_bytes(output, files) + config.unattended.reserve_mb * 10**6
    place = output
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free >= needed:
        return None
    return (
        f"expected {needed / 1e6:,.0f} MB free on the disk of {output} for this run, found "
        f"{free / 1e6:,.0f} MB; `seq2seq gc` makes room, unattended.reserve_mb "
        f"({config.unattended.reserve_mb}) is what must stay free. Nothing was run"
    )


def _close(
    config: PipelineConfig, output: Path, run: int | None, ended: Ended, spans: list[Span]
) -> int:
    """Says why a run ended early, and tells the hooks."""
    if ended.code not in (0, NOT_RELEASED):
        story = f"\nThe whole story is in {output / LOG}" if ended.logged else ""
        failure(f"{ended.reason}{story}")
    event = EVENTS.get(ended.verdict)
    if event:
        with _warned("the hooks cannot be told"):
            for fault in notify(config.notify, event, _payload(config, output, run, ended, spans)):
                say(f"warning: {fault}", err=True)
    return ended.code


def _payload(
    config: PipelineConfig, output: Path, run: int | None, ended: Ended, spans: list[Span]
) -> dict[str, Any]:
    pushed = ended.summary.pushed_to if ended.summary else None
    told = {"pushed": f"pushed {pushed}"}.get(ended.verdict, f"{ended.verdict}: {ended.reason}")
    return {
        "job": config.name,
        "run": run,
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "verdict": ended.verdict,
        "reason": ended.reason,
        "spans": list(map(str, spans)),
        "pushed_to": pushed,
        "output": str(output.absolute()),
        "exit_code": ended.code,
        "text": f"seq2seq '{config.name}': {told}",  # what chats show
    }
