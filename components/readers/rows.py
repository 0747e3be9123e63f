"""What every reader gives: each row of a file is a pair that was kept, or a rejection."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import PipelineError

SHOWN_CHARACTERS = 200  # of a rejected row, for whoever looks for it

Extra = tuple[tuple[str, str], ...]


class Pair(NamedTuple):
    """A pair that was kept, and where it came from."""

    source: str
    target: str
    file: str
    line: int  # or the number of the record, where a format has no lines
    extra: Extra = ()  # what travels along: names and values


class Rejected(NamedTuple):
    """A row that was not kept, why, and where it is."""

    reason: str
    detail: str
    file: str
    line: int
    text: str  # its beginning, undecodable bytes as escapes


Row = Pair | Rejected


def checked(
    source: Any, target: Any, file: str, line: int, max_characters: int, extra: Extra = ()
) -> Row:
    """The pair of two sides, or why it is none.

    Args:
      source: a string, or whatever a format had in its place; None if there was nothing.
      target: likewise.
      file: the name to report.
      line: where in it.
      max_characters: the longest side that is kept; white space around it is no part.
      extra: what travels along.
    """
    if type(source) is str and type(target) is str:
        # Most rows have no fault: they are told in the least steps.
        a, b = source.strip(), target.strip()
        if a and b and len(a) <= max_characters and len(b) <= max_characters:
            both = a + b
            if "\0" not in both and (both.isascii() or is_unicode(both)):
                return Pair(a, b, file, line, extra)
    sides = []
    for side, value in (("source", source), ("target", target)):
        if value is None:
            problem = (f"missing_{side}", f"there is no {side}")
        elif not isinstance(value, str):
            problem = ("wrong_type", f"{side}: expected text, received {type(value).__name__}")
        elif not (text := value.strip()):
            problem = (f"empty_{side}", "no text")
        elif len(text) > max_characters:
            detail = f"{len(text)} characters, the limit is {max_characters}"
            problem = (f"long_{side}", detail)
        elif "\0" in text:
            problem = ("nul_byte", f"in the {side}, at character {text.index(chr(0)) + 1}")
        elif not is_unicode(text):
            problem = ("invalid_unicode", f"{side}: half of a surrogate pair")
        else:
            sides.append(text)
            continue
        return Rejected(*problem, file, line, shown(source, target))
    return Pair(sides[0], sides[1], file, line, extra)


def is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8: formats with escapes can smuggle in what cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(*parts: Any) -> str:
    """The beginning of a rejected row: bytes, or values with tabs between them."""
    cut = [
        part[: 4 * SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
        if isinstance(part, bytes)
        else str(part if isinstance(part, str) else repr(part)[: 2 * SHOWN_CHARACTERS])
        for part in parts
        if part is not None
    ]
    text = "\t".join(part[:SHOWN_CHARACTERS] for part in cut)[:SHOWN_CHARACTERS]
    return text.encode("utf-8", "backslashreplace").decode()


def unreadable(file: str, problem: object, line: int | None = None) -> PipelineError:
    """The error of a file that cannot be read, or no further than a line."""
    return PipelineError(f"{file}{f':{line}' if line else ''} cannot be read: {problem}")
