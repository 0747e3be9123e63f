"""Errors that are the user's to mend, told without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress


class PipelineError(Exception):
    """A run cannot go on; the message says what was expected, what came and what to do."""


class BadData(PipelineError):
    """The data gate stops the run: its pairs are not what they must be."""


class Passing(PipelineError):
    """An error after which the same run may end otherwise."""


class PeersLost(Passing):
    """Others that train along are gone; once all are started again the training goes on."""


# What a file system says of a path that is wrong, and will say again.
_WRONG_PATH = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def may_pass(error: BaseException) -> bool:
    """Whether the same run may end otherwise.

    It may after what names nothing to mend, after what says so (`Passing`), and after a
    fault of reading or writing that is the system's own: a disk that was full, a share that
    was away. A file that is damaged has no number of such a fault.
    """
    chain = list(links_of(error))
    passing = (
        isinstance(link, Passing)
        or (isinstance(link, OSError) and link.errno and not isinstance(link, _WRONG_PATH))
        for link in chain
    )
    return any(passing) or not any(isinstance(link, PipelineError) for link in chain)


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
