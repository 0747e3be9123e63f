"""Errors that are the user's to mend, told without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress


class PipelineError(Exception):
    """A run cannot go on; the message says what was expected, what came and what to do."""


class BadData(PipelineError):
    """The data gate stops the run: its pairs are not what they must be."""


class PeersLost(PipelineError):
    """Others that train along are gone; once all are started again the training goes on."""


def links_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def reason_of(error: BaseException) -> str:
    """The message meant for the user, wherever in the chain Beam has put it."""
    for link in links_of(error):
        if isinstance(link, PipelineError):
            return str(link).partition(" [while running")[0]
    with suppress(Exception):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__
