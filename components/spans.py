"""Spans of data: what {SPAN}, {VERSION} and dates in a path stand for, as TFX writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

_EPOCH = date(1970, 1, 1)
_SPEC = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
_DIGITS = {"YYYY": 4, "MM": 2, "DD": 2}
_LABEL = re.compile(r"^(?:(\d{4}-\d\d-\d\d)|(\d+))(?:v(\d+))?$")


class Span(NamedTuple):
    """One piece of data that arrived together: a number, or a day since 1970-01-01."""

    number: int
    version: int | None = None
    dated: bool = False

    def __str__(self) -> str:
        name = date.fromordinal(self.number + _EPOCH.toordinal()) if self.dated else self.number
        return f"{name}" if self.version is None else f"{name}v{self.version}"

    @classmethod
    def parse(cls, label: str) -> Span:
        """Reads what `str` wrote.

        Raises:
          ValueError: it is something else.
        """
        found = _LABEL.match(label)
        if found is None:
            raise ValueError(f"expected a span such as 7, 7v2 or 2026-01-31, received {label!r}")
        day, number, version = found.groups()
        dated = day is not None
        return cls(
            _day(*map(int, day.split("-"))) if dated else int(number),
            int(version) if version else None,
            dated,
        )

    def filled(self, pattern: str) -> str:
        """A path or glob with this span in it."""
        values = {"SPAN": self.number, "VERSION": self.version}
        if self.dated:
            day = date.fromordinal(self.number + _EPOCH.toordinal())
            values |= {"YYYY": day.year, "MM": day.month, "DD": day.day}

        def fill(spec: re.Match[str]) -> str:
            width = int(spec[2] or _DIGITS.get(spec[1], 0))
            return str(values[spec[1]]).zfill(width)

        return _SPEC.sub(fill, pattern)

    def fills(self, pattern: str) -> bool:
        """Whether a path or glob asks for such a span: a day or a number, a version or none."""
        names = {name for name, _ in _SPEC.findall(pattern)}
        versioned = self.version is not None or "VERSION" not in names
        return versioned and self.dated == ("SPAN" not in names)


def names_spans(pattern: str) -> bool:
    """Whether a path or glob has {SPAN}, or the parts of a date."""
    return any(name in ("SPAN", *_DIGITS) for name, _ in _SPEC.findall(pattern))


def names_days(pattern: str) -> bool:
    """Whether a path or glob names its spans by a date."""
    return any(name in _DIGITS for name, _ in _SPEC.findall(pattern))


def check_specs(pattern: str) -> None:
    """Refuses a path or glob whose span no number or day can be read from.

    Raises:
      ValueError: a part of a date is missing, something is twice, or a version has no span.
    """
    names = [name for name, _ in _SPEC.findall(pattern)]
    spans = sorted(name for name in names if name != "VERSION")
    if spans not in ([], ["SPAN"], sorted(_DIGITS)) or names.count("VERSION") > bool(spans):
        came = ", ".join(f"{{{name}}}" for name in names)
        raise ValueError(
            "expected {SPAN} once, or {YYYY}, {MM} and {DD} once each, and {VERSION} once or not "
            f"at all beside them, received {came} in '{pattern}'"
        )


def anything(pattern: str) -> str:
    """The glob of a pattern's files, whatever their span and version."""
    return _SPEC.sub("*", pattern)


def spans_in(pattern: str, paths: Iterable[str]) -> list[Span]:
    """The spans and versions of those paths that a pattern names; others are passed over.

    Args:
      pattern: with {SPAN} or {YYYY}, {MM} and {DD}, and {VERSION} or not.
      paths: files, such as match `anything(pattern)`.
    """
    matcher = _matcher(pattern)
    found = set()
    for path in paths:
        if match := matcher.search(path):
            values = {name: int(value) for name, value in match.groupdict().items()}
            dated = "YYYY" in values
            try:
                number = _day(*(values[key] for key in _DIGITS)) if dated else values["SPAN"]
            except ValueError:  # no day of any month
                continue
            found.add(Span(number, values.get("VERSION"), dated))
    return sorted(found, key=in_order)


def newest_versions(by_pattern: Sequence[Iterable[Span]]) -> list[Span]:
    """The spans that all patterns have, each in its newest common version, oldest first."""
    versioned = [set(spans) for spans in by_pattern if any(s.version is not None for s in spans)]
    plain = [{s.number for s in spans} for spans in by_pattern]
    numbers = set.intersection(*plain) if plain else set()
    of_version = set.intersection(*versioned) if versioned else {s for p in by_pattern for s in p}
    newest = {s.number: s for s in sorted(of_version, key=in_order) if s.number in numbers}
    return sorted(newest.values(), key=in_order)


def in_order(span: Span) -> tuple[int, int]:
    """What spans are sorted by: of a number, a newer version comes later."""
    return span.number, span.version or 0


def _day(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - _EPOCH).days


def _matcher(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression, its glob characters among it."""
    parts, last = [], 0
    for spec in _SPEC.finditer(pattern):
        name, width = spec[1], spec[2] or _DIGITS.get(spec[1])
        parts += [_glob(pattern[last : spec.start()])]
        parts += [f"(?P<{name}>\\d{{{width}}})" if width else f"(?P<{name}>\\d+)"]
        last = spec.end()
    return re.compile("^" + "".join(parts) + _glob(pattern[last:]) + "$")


def _glob(text: str) -> str:
    parts = []
    for part in re.findall(r"\[!?\]?[^\]]*\]|.", text):
        if len(part) > 1:  # one of a set of characters
            among = re.sub(r"([\\\[^&|~])", r"\\\1", part[1:-1])
            parts += [f"[^/{among[1:]}]" if among.startswith("!") else f"[{among}]"]
        else:
            parts += [{"*": "[^/]*", "?": "[^/]"}.get(part) or re.escape(part)]
    return "".join(parts)
