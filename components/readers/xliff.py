"""XLIFF 1.2 and 2.0: a source and a target element in each unit or segment."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from .extras import ABSENT, Extras
from .options import Column, ReadingConfig
from .rows import Row, checked, shown, unreadable
from .xml_stream import SideText, events_of, speaks

# In 1.2 these hold formatting codes of some other program, and no text; in 2.0 nothing.
CODES = {"bpt", "ept", "it", "ph"}
# What holds one source and one target. Proposals of other tools hold such, too, and are
# none of the document's own: alt-trans in 1.2, match in 2.0.
UNITS = {"trans-unit", "segment"}


def read_xliff(stream: IO[bytes], file: str, config: ReadingConfig) -> Iterator[Row]:
    """Each unit (1.2) or segment (2.0) gives one pair or one rejection.

    Args:
      stream: the file's bytes.
      file: the name to report.
      config: how to read; `extra` knows the attributes of the unit.

    Raises:
      PipelineError: it is no XLIFF, or of other languages than `config` has, or no unit
        has a column of `extra`.
    """
    path: list[str] = []
    extras = Extras(config, file)
    sides: dict[str, str] = {}
    attributes: dict[str, str] = {}
    line, codes = 0, 0
    text: SideText | None = None
    for event in events_of(stream, file):
        name = event.value
        if event.kind == "text":
            if text is not None and not codes:
                text.add(name)
        elif event.kind == "start":
            if not path and name != "xliff":
                raise unreadable(file, f"expected XLIFF, found <{shown(name)}>", event.line)
            if name in ("xliff", "file"):
                _check_languages(event.attributes, config, file, event.line)
            if name == "unit":
                attributes = event.attributes
            if name in UNITS:
                line, sides = event.line, {}
                if name == "trans-unit":
                    attributes = event.attributes
            elif name in ("source", "target") and path and path[-1] in UNITS:
                text, codes = SideText(config.longest_line), 0
            elif name in CODES:
                codes += 1
            path.append(name)
        else:
            path.pop()
            if name in CODES:
                codes = max(0, codes - 1)
            elif name in ("source", "target") and path and path[-1] in UNITS and text is not None:
                sides[name], text = str(text), None
            elif name in UNITS:
                extra = extras.of(partial(_attribute, attributes))
                source, target = sides.get("source"), sides.get("target")
                yield checked(source, target, file, line, config.max_characters, extra)
    extras.check()


def _attribute(attributes: dict[str, str], column: Column) -> Any:
    return attributes.get(str(column), ABSENT)


def _check_languages(
    attributes: dict[str, str], config: ReadingConfig, file: str, line: int
) -> None:
    """Refuses a file of other languages: `source-language` in 1.2, `srcLang` in 2.0."""
    if config.languages is None:
        return
    for side, names in (
        ("source", ("source-language", "srcLang")),
        ("target", ("target-language", "trgLang")),
    ):
        wanted = getattr(config.languages, side)
        for name in names:
            if name in attributes and not speaks(attributes[name], wanted):
                problem = f"its {side} language is '{shown(attributes[name])}'"
                raise unreadable(file, f"{problem}, data.languages.{side} is '{wanted}'", line)
