"""The log as lines of JSON, in which no text of a request is unless it was asked for."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import datetime, timezone

from aiohttp import http_exceptions, web

# What a line may carry beside its event.
TOLD = ("version", "error", "api", "method", "signature", "text")
# Theirs are written by us as well; their messages and errors may quote what a client sent.
LIBRARIES = ("aiohttp", "asyncio", "concurrent.futures", "grpc")
CLIENTS_FAULTS = (http_exceptions.HttpProcessingError, web.RequestPayloadError)
REQUESTS = logging.getLogger(f"{__package__}.requests")  # the text of each, where asked for


def log_to_stderr(text: bool = False) -> None:
    """Writes the log of the server to standard error.

    Args:
      text: whether the text of requests may be in it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(text))
    for name, level in ((__package__, logging.INFO), *((n, logging.WARNING) for n in LIBRARIES)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    REQUESTS.setLevel(logging.INFO if text else logging.CRITICAL)
    # It calls the session's loader deprecated, which is the one that upstream has.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


class _Lines(logging.Formatter):
    def __init__(self, text: bool):
        super().__init__()
        self._text = text

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat()
        is_ours = record.name.startswith(str(__package__))
        event = record.getMessage() if is_ours or self._text else _begins(record)
        line = {"time": time, "level": record.levelname.lower(), "event": event}
        line |= {key: getattr(record, key) for key in TOLD if hasattr(record, key)}
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, CLIENTS_FAULTS):
            line["level"] = "warning"
        if error is not None:
            # Ours that are of no request tell of files and settings.
            whole = self._text or (is_ours and not hasattr(record, "api"))
            line["error"] = "".join(traceback.format_exception(error)) if whole else _place(error)
        return json.dumps(line)


def _begins(record: logging.LogRecord) -> str:
    """Who tells it, and what, as far as nothing was filled in."""
    found = re.match(r"[^%(<:{\n]*", str(record.msg))
    return f"{record.name}: {found[0].strip() if found else ''}"


def _place(error: BaseException) -> str:
    """Where an error came from and of which kind it is, without what it says."""
    before = error.__cause__ or error.__context__
    told = _place(before) + "\n" if before else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{told}{frames}{type(error).__module__}.{type(error).__qualname__}"
