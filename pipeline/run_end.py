"""How a run ended, and who is told."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..components.errors import BadData, PipelineError, links_of, may_pass, reason_of
from ..components.spans import Span
from .cli_common import DATA_GATE, ERROR, NOT_RELEASED, TO_MEND, WRONG, failure, say
from .config_file import ConfigurationError, plain, read_document
from .night_config import Event, NotifyConfig
from .notify import notify
from .run_folder import LOG
from .run_records import Verdict
from .runner_config import output_of
from .runners import RunFailed
from .summary import RunSummary

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


class Night(NamedTuple):
    """Whose run it was."""

    job: str
    hooks: NotifyConfig
    output: Path
    spans: list[Span]
    run: int | None = None  # its id, where it has one


def failed(error: Exception) -> Ended:
    """How a run ended that an error ended."""
    chain = list(links_of(error))
    logged = isinstance(error, RunFailed)
    reason = str(error) if logged else reason_of(error)
    # A file's name may be no UTF-8; ML Metadata and JSON take nothing else.
    reason = reason.encode("utf-8", "backslashreplace").decode()
    if any(isinstance(link, BadData) for link in chain):
        return Ended("data_gate", DATA_GATE, reason, logged=logged)
    ours = any(isinstance(link, PipelineError) for link in chain)
    if not (logged or ours):
        say("".join(traceback.format_exception(error)), err=True)  # no log has it
    passing = may_pass(error)
    code = ERROR if passing else TO_MEND
    return Ended("failed", code, reason, logged=logged, may_pass=passing)


@contextmanager
def warned(what: str) -> Iterator[None]:
    """Work after the end of a run: it may fail, and the run has ended as it has."""
    try:
        yield
    except Exception as error:
        say(f"warning: {what}: {reason_of(error)}", err=True)


def close(night: Night, ended: Ended) -> int:
    """Says why a run ended early, and tells the hooks; gives the exit code."""
    if ended.code not in (0, NOT_RELEASED):
        story = f"\nThe whole story is in {night.output / LOG}" if ended.logged else ""
        failure(f"{ended.reason}{story}")
    tell(night, ended)
    return ended.code


def tell(night: Night, ended: Ended) -> None:
    """Tells the hooks how a run ended."""
    event = EVENTS.get(ended.verdict)
    if event:
        with warned("the hooks cannot be told"):
            for fault in notify(night.hooks, event, _payload(night, ended)):
                say(f"warning: {fault}", err=True)


def tell_refused(path: Path, output: Path | None, error: ConfigurationError) -> None:
    """Tells the hooks of a night that could not begin, where `notify` can be read.

    Args:
      path: of the configuration.
      output: of the runs; None for the configuration's.
      error: what is wrong with it, or with the files that it names.
    """
    try:
        document: Mapping[str, Any] = plain(read_document(path))
        hooks = NotifyConfig.model_validate(document.get("notify", {}))
    except (ConfigurationError, ValidationError):
        return
    job = str(document.get("name", path.stem))
    night = Night(job, hooks, output or output_of(document, job), [])
    tell(night, Ended("failed", WRONG, "; ".join(error.problems)))


def _payload(night: Night, ended: Ended) -> dict[str, Any]:
    pushed = ended.summary.pushed_to if ended.summary else None
    told = {"pushed": f"pushed {pushed}"}.get(ended.verdict, f"{ended.verdict}: {ended.reason}")
    return {
        "job": night.job,
        "run": night.run,
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "verdict": ended.verdict,
        "reason": ended.reason,
        "spans": list(map(str, night.spans)),
        "pushed_to": pushed,
        "output": str(night.output.absolute()),
        "exit_code": ended.code,
        "text": f"seq2seq '{night.job}': {told}",  # what chats show
    }
