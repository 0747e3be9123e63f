"""The run that a scheduler calls: which spans, from which model, again or not, and who is told."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..components import interruption
from ..components.data_config import available_spans, is_local, with_spans
from ..components.spans import Span
from ..components.trainer import LAST_BLESSED
from . import runners
from .calibration_record import told_of_margins
from .cli_common import BUSY, ERROR, NOT_RELEASED, STOPPED, TO_MEND, failure, say
from .config import PipelineConfig
from .disk import room_of, settings_of
from .lineage import last_blessed
from .reporting import print_summary
from .run_end import Ended, Night, close, failed, tell, warned
from .run_folder import OutputBusy, exclusive
from .run_records import (
    SETTLED,
    UNDER_WAY,
    NoRuns,
    RunRecord,
    left_open,
    newest_id,
    read_runs,
    record,
    run_named,
)
from .run_report import mark_report, write_report
from .span_plan import due, too_late, windows
from .summary import RunSummary, summarize

PUSHER = "Pusher"  # which says whether a model is released
KILLED = (
    "the process was killed, as the kernel does where memory is short, or the machine went down; "
    "the run after it found no record of its end"
)
UNRECORDED = "how the run ended cannot be recorded"


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
    _tell_of_a_killed_run(config, output)
    try:
        available = available_spans(config.data)
        nights = spans_due(config, output)
    except Exception as error:
        return close(_of(config, output, []), failed(error))
    for number in range(len(nights)):
        spans = nights[number]
        if spans:
            of = f" (run {number + 1} of {len(nights)})" if len(nights) > 1 else ""
            say(f"spans: {', '.join(map(str, spans))}{of}")
        code, verdict = _night(config, config_path, output, runner, spans)
        if verdict not in SETTLED:
            break
        if verdict == "data_gate" and spans:
            # What was refused is not read by the runs that are left either.
            targets = [each[-1] for each in nights]
            nights = windows(targets, available, _runs_of(output), config.data.window)
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
    runs = _runs_of(output)
    nights = due(available, runs, config.data.window, config.unattended.catch_up)
    if late := too_late(available, runs, nights):
        say(
            f"not read: spans {', '.join(map(str, late))}, corrected after later ones were "
            "settled; to have them read, give them a new number, or widen data.window"
        )
    return nights


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


def _runs_of(output: Path) -> list[RunRecord]:
    try:
        return read_runs(output)
    except NoRuns:
        return []


def _night(
    config: PipelineConfig, config_path: Path, output: Path, runner: str, spans: list[Span]
) -> tuple[int, str]:
    """One run and its repetitions: exit code and verdict."""
    settings = config.unattended
    for attempt in range(settings.retries + 1):
        ended, run = _run_once(config, output, runner, spans)
        if not ended.may_pass or attempt == settings.retries:
            break
        wait = settings.backoff_seconds * 2**attempt
        failure(f"{ended.reason}\nretry {attempt + 1} of {settings.retries} in {wait:g} s")
        if by := _stopped_in(wait):
            reason = f"stopped by {by.name} while it waited to try again, after: {ended.reason}"
            ended = ended._replace(verdict="stopped", code=STOPPED + by, reason=reason)
            break
    return _conclude(config, config_path, output, run, ended, spans), ended.verdict


def _stopped_in(seconds: float) -> signal.Signals | None:
    """Waits; gives the signal that asked this process to stop meanwhile."""
    try:
        with interruption.stoppable():
            time.sleep(seconds)
    except interruption.Interrupted as asked:
        return signal.Signals[str(asked)]
    return None


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
        with warned("the report cannot be written"):
            notes = told_of_margins(config, output, ended.summary.verdict)
            print_summary(ended.summary, config_path, notes)
            say(f"report: {write_report(config.name, ended.summary, output, notes)}")
    elif ended.code != BUSY:
        with warned("the report of the run before cannot be marked"):
            mark_report(output, ended.verdict.replace("_", " "), ended.reason)
    return close(_of(config, output, spans, run), ended)


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
            _tell_of_a_killed_run(config, output, but=run)
            spans = spans_due(config, output)[0]
    except Exception as error:
        return close(_of(config, output, []), failed(error))

    def work(chosen: PipelineConfig) -> RunSummary | None:
        left = runners.run_component(chosen, output, name, run)
        if name != PUSHER and left:
            return None
        summary = summarize(output, run)
        ends = not left if summary.released else name == PUSHER
        return summary if ends else None

    ended = _ended(config, output, spans, work)
    if ended is None:
        with warned("that the run is under way cannot be recorded"):
            begun = run_named(output, run)
            # One beside a component that failed leaves the run ended, as that one recorded.
            if begun and "failed" not in begun.components.values():
                record(output, begun.id - 1, UNDER_WAY)
        return 0
    number = None
    with warned(UNRECORDED):
        begun = run_named(output, run)
        if begun and ended.code != BUSY:
            number = record(output, begun.id - 1, ended.verdict, ended.reason)
    return _conclude(config, config_path, output, number, ended, spans)


def _tell_of_a_killed_run(config: PipelineConfig, output: Path, but: str = "") -> None:
    """Tells the hooks of an earlier run that ended without a record, and keeps that it did.

    Args:
      config: the job.
      output: the folder of its runs.
      but: the name of the run that begins or goes on now.
    """
    with warned("an earlier run cannot be looked at"), suppress(NoRuns, OutputBusy):
        if left_open(output, but) is None:
            return
        with exclusive(output):
            run = left_open(output, but)
            if run is None:  # it has ended meanwhile
                return
            at = [name for name, state in run.components.items() if state == "running"]
            reason = f"{', '.join(at) or 'between components'}: {KILLED}"
            record(output, run.id - 1, "failed", reason)
        say(f"run {run.id}: {reason}", err=True)
        night = _of(config, output, list(map(Span.parse, run.spans)), run.id)
        tell(night, Ended("failed", ERROR, reason))


def _of(config: PipelineConfig, output: Path, spans: list[Span], run: int | None = None) -> Night:
    return Night(config.name, config.notify, output, spans, run)


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
        with warned(UNRECORDED):
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
        lacking = _lacking_space(chosen, output, spans)
        if lacking:
            return Ended("failed", TO_MEND, lacking)
        summary = work(chosen)
    except OutputBusy as error:
        return Ended("running", BUSY, str(error))
    except runners.RunStopped as error:
        return Ended("stopped", STOPPED + error.number, f"stopped by {error}")
    except Exception as error:  # whatever it is, there are hooks to tell
        return failed(error)
    if summary is None:
        return None
    if summary.released:
        return Ended("pushed", 0, summary=summary)
    broken = [rule["rule"] for rule in summary.verdict["rules"] if not rule["passed"]]
    reason = "; ".join([*broken, *summary.infra["faults"]])
    return Ended("not_blessed", NOT_RELEASED, reason, summary)


def _lacking_space(config: PipelineConfig, output: Path, spans: list[Span]) -> str | None:
    """What there is too little of on the disk for the rest of a run, if so."""
    files = [path for path in config.data.patterns if is_local(path)]
    room = room_of(output, files, list(map(str, spans)), settings_of(config))
    needed = room.left + config.unattended.reserve_mb * 10**6
    place = output
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free >= needed:
        return None
    rest, more = ("the rest of ", "more ") if room.written else ("", "")
    return (
        f"expected {needed / 1e6:,.0f} MB free on the disk of {output} for {rest}this run, found "
        f"{free / 1e6:,.0f} MB; `seq2seq gc` makes room, unattended.reserve_mb "
        f"({config.unattended.reserve_mb}) is what must stay free. Nothing {more}was run"
    )
