"""Errors that are the user's to mend, told without a traceback."""

from __future__ import annotations

from contextlib import suppress


class PipelineError(Exception):
    """A run cannot go on; the message says what was expected, what came and what to do."""


def reason_of(error: BaseException) -> str:
    """The message meant for the user, wherever in the chain Beam has put it."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, PipelineError):
            return str(link).partition(" [while running")[0]
        link = link.__cause__ or link.__context__
    with suppress(Exception):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__
