"""XML as a stream of events, with line numbers, without entities and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, NamedTuple
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from .rows import unreadable

BLOCK = 1 << 16
LONGEST_TAG = 1 << 22  # bytes: the parser holds a tag until it is whole
DEEPEST = 1000

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


class Event(NamedTuple):
    """An element begins or ends, or there is text."""

    kind: str  # 'start', 'end' or 'text'
    value: str  # the element's name without its namespace, or the text
    attributes: dict[str, str]
    line: int


class SideText:
    """The text of an element that is being read.

    Args:
      longest: so many characters, more than are kept; what comes after is left out.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[str] = []
        self._length = 0

    def add(self, text: str) -> None:
        """More of it."""
        if self._length <= self._longest:
            self._parts.append(text)
            self._length += len(text)

    def __str__(self) -> str:
        return "".join(self._parts)


class _Collector:
    """What the parser tells, until it is taken away."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.expat: Any = None
        self.depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self._add("start", tag.rpartition("}")[2], attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self._add("end", tag.rpartition("}")[2], {})

    def data(self, text: str) -> None:
        self._add("text", text, {})

    def close(self) -> None:
        """The parser calls it."""

    def _add(self, kind: str, value: str, attributes: dict[str, str]) -> None:
        self.events.append(Event(kind, value, attributes, self.expat.CurrentLineNumber))


def events_of(stream: IO[bytes], file: str) -> Iterator[Event]:
    """Parses XML, whose encoding it declares itself.

    Raises:
      PipelineError: it is not well-formed, declares an entity, refers to another
        file, or nests too deep; with the line.
    """
    collector = _Collector()
    parser = DefusedXMLParser(target=collector)
    collector.expat = parser.parser
    fed = 0
    while True:
        block = stream.read(BLOCK)
        try:
            if block:
                parser.feed(block)
            else:
                parser.close()
        except ParseError as error:
            # All that was whole before it comes first.
            yield from collector.events
            problem = f"not well-formed XML: {error.msg}"
            raise unreadable(file, problem, error.position[0]) from error
        except DefusedXmlException as error:
            line = collector.expat.CurrentLineNumber
            problem = f"it declares an entity or refers to another file: {error}"
            raise unreadable(file, problem, line) from error
        except (ValueError, LookupError) as error:  # an encoding that nobody knows
            raise unreadable(file, f"not readable as XML: {error}") from error
        yield from collector.events
        collector.events.clear()
        if not block:
            return
        fed += len(block)
        if fed - collector.expat.CurrentByteIndex > LONGEST_TAG + BLOCK:
            line = collector.expat.CurrentLineNumber
            raise unreadable(file, f"a tag of more than {LONGEST_TAG:,} bytes", line)
        if collector.depth > DEEPEST:
            line = collector.expat.CurrentLineNumber
            raise unreadable(file, f"elements nest more than {DEEPEST:,} deep", line)


def speaks(language: str | None, wanted: str) -> bool:
    """Whether a language is the wanted one or a regional form of it (RFC 4647, basic filtering)."""
    given, asked = ((code or "").lower().replace("_", "-") for code in (language, wanted))
    return given == asked or given.startswith(f"{asked}-")
