"""Gettext catalogs, PO and MO: messages and their translations, plurals too."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polib

from .compression import bare_name
from .files import BYTE_ORDER_MARK, local_copy
from .options import ReadingConfig
from .rows import Rejected, Row, checked, shown, unreadable

COLUMNS = ("context", "comment", "flags")
LARGEST = 1 << 26  # bytes: a catalog is read whole
# What is no comment: polib takes the last character of a string for its quote, whatever it is.
STRING = re.compile(rb'(#~ *)?(msg[a-z_]+(\[\d+\])?\s*)?"[^"\\]*"')
ESCAPE = re.compile(rb"\\.")  # put out first: a pattern with both holds a state for each of them
MESSAGE = re.compile(rb"(?:#~\s+)?(msgid|msgstr)\b")


def read_gettext(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each form of each entry gives one pair or one rejection; fuzzy and obsolete ones are such.

    Args:
      stream: the file's bytes.
      file: the name to report; one that ends in .mo is binary.
      config: how to read; `extra` knows `context`, `comment` and `flags`.

    Raises:
      PipelineError: it is no catalog, or has no such column.
    """
    for column in config.extra.values():
        if column not in COLUMNS:
            problem = f"data.extra: no column '{column}' in a catalog, only {', '.join(COLUMNS)}"
            raise unreadable(file, problem)
    binary = bare_name(file).lower().endswith(".mo")
    with local_copy(stream, file, LARGEST) as copy:
        try:
            if binary:
                check_tables(Path(copy).read_bytes(), file)
                catalog = polib.mofile(copy)
            else:
                messages = _check_lines(copy, file, config.longest_line)
                with open(copy, "ab") as end:
                    end.write(b"\n#\n")  # without it a last line such as "#:" costs an entry
                catalog = polib.pofile(copy)
        except UnicodeDecodeError as error:
            line = _bad_line(copy, error)
            raise unreadable(file, f"not {error.encoding}: {error.reason}", line) from error
        # What polib raises of a damaged catalog is of many kinds.
        except (OSError, ValueError, LookupError, AttributeError, TypeError, struct.error) as error:
            problem = str(error).replace(copy, file)
            raise unreadable(file, f"not a gettext catalog: {problem}") from error
    if not binary:
        # polib takes the header out, and has its flags then.
        found = len(catalog) + isinstance(catalog.metadata_is_fuzzy, list)
        if found != messages:
            problem = f"not a gettext catalog: {messages:,} msgid, but {found:,} entries"
            raise unreadable(file, problem)
    for number, entry in enumerate(catalog, start=1):
        line = number if binary else max(1, entry.linenum or 0)
        left_out = "obsolete" if entry.obsolete else "fuzzy" if "fuzzy" in entry.flags else ""
        extra = tuple((name, _column(entry, str(column))) for name, column in config.extra.items())
        for source, target in _forms(entry):
            if left_out:
                text = shown(source, target)
                yield Rejected(left_out, "the catalog says so", file, line, text)
            else:
                yield checked(source, target, file, line, config.max_characters, extra)


def check_tables(content: bytes, file: str) -> None:
    """Refuses a binary catalog whose strings are not all in it: polib cuts them at its end.

    Raises:
      PipelineError: it is cut off, or its strings together are larger than it is.
    """
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(content[:4])
    if order is None or len(content) < 20:
        problem = "not a gettext catalog: expected the header of an MO file"
        raise unreadable(file, problem)
    number, *tables = struct.unpack_from(f"{order}3I", content, 8)
    size = 0
    for side, table in zip(("msgid", "msgstr"), tables, strict=True):
        if table + 8 * number > len(content):
            problem = f"not a gettext catalog, or cut off: a table of {number:,} strings"
            raise unreadable(
                file, f"{problem} at byte {table:,}, the file ends at {len(content):,}"
            )
        places = struct.iter_unpack(f"{order}2I", content[table : table + 8 * number])
        for entry, (length, start) in enumerate(places, start=1):
            size += length
            if content[start + length : start + length + 1] != b"\0":
                problem = f"not a gettext catalog, or cut off: the {side} of entry {entry:,}"
                where = f"at byte {start:,} does not end at {start + length:,}"
                raise unreadable(file, f"{problem} {where}; the file ends at {len(content):,}")
            if size > len(content):
                problem = "not a gettext catalog: its strings are larger than the file, from the"
                raise unreadable(file, f"{problem} {side} of entry {entry:,} on")


def _check_lines(copy: str, file: str, longest: int) -> int:
    """How many messages a catalog has, each with a translation after it."""
    messages, untold = 0, 0  # the line of a msgid whose msgstr has not come
    # In some encodings a byte of a character is that of a backslash or a quote.
    decoded = Path(copy).read_bytes().decode(polib.detect_encoding(copy))
    content = decoded.encode().removeprefix(BYTE_ORDER_MARK)
    for number, line in enumerate(content.splitlines(), start=1):
        text = line.strip()
        if len(text) > longest:
            problem = f"a line of {len(text):,} bytes, at most {longest:,} are read"
            raise unreadable(file, problem, number)
        if text and not text.startswith(b"#") and not STRING.fullmatch(ESCAPE.sub(b"!", text)):
            problem = "not a gettext catalog: expected a keyword and a string in quotes"
            raise unreadable(file, problem, number)
        keyword = MESSAGE.match(text)
        if keyword and keyword[1] == b"msgid":
            if untold:
                break
            messages, untold = messages + 1, number
        elif keyword:
            untold = 0
    if untold:
        problem = "not a gettext catalog: expected a msgstr after this msgid, found none"
        raise unreadable(file, problem, untold)
    return messages


def _bad_line(copy: str, error: UnicodeDecodeError) -> int | None:
    """The first line that is not of its catalog's encoding."""
    with open(copy, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode(error.encoding)
            except UnicodeDecodeError:
                return number
    return None


def _forms(entry: polib.POEntry) -> Iterator[tuple[str, str]]:
    """The singular with the first form, the plural with all others, or with the only one."""
    if not entry.msgid_plural:
        yield entry.msgid, entry.msgstr
        return
    forms = [form for _, form in sorted(entry.msgstr_plural.items())] or [""]
    yield entry.msgid, forms[0]
    for form in forms[1:] or forms:
        yield entry.msgid_plural, form


def _column(entry: polib.POEntry, column: str) -> str:
    if column == "flags":
        return ",".join(entry.flags)
    return {"context": entry.msgctxt, "comment": entry.comment}.get(column) or ""
