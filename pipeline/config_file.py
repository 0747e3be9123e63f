"""A configuration file as it is written: its keys, their lines, and what to say of them.

Nothing here knows what a configuration means, or imports the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scalarbool import ScalarBoolean


class ConfigurationError(Exception):
    """A configuration cannot be used; holds every problem found, one a line."""

    def __init__(self, problems: Sequence[str]):
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Misfits(ValueError):
    """What does not fit together, with the key that each is told of."""

    def __init__(self, problems: Sequence[tuple[tuple[str, ...], str]]):
        super().__init__("; ".join(f"{'.'.join(where)}: {what}" for where, what in problems))
        self.problems = problems


def read_document(path: str | Path) -> Mapping[str, Any]:
    """Reads a file of YAML 1.2 that has keys and values.

    Raises:
      ConfigurationError: it cannot be read, or is something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read: {error}"]) from error
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigurationError([f"{path}{line}: not valid YAML: {error.problem}"]) from error
    except Exception as error:  # of a date that is none, ruamel.yaml raises a ValueError
        raise ConfigurationError([f"{path}: not valid YAML: {error}"]) from error
    if not isinstance(document, Mapping):
        raise ConfigurationError([f"{path}: expected keys and values, received {document!r}"])
    return document


def place_of(path: str | Path, lines: dict[tuple[Any, ...], int], where: tuple[Any, ...]) -> str:
    """`FILE:LINE: ` of a key, or of the closest one around it that is there."""
    for length in range(len(where), 0, -1):
        if line := lines.get(where[:length]):
            return f"{path}:{line}: "
    return f"{path}: "


def plain(node: Any) -> Any:
    """The YAML tree as built-in types."""
    if isinstance(node, Mapping):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    if isinstance(node, ScalarBoolean):  # an int in Python's eyes
        return bool(node)
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def lines_of(node: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], int]:
    """The line of every key of a tree that ruamel.yaml read, from 1."""
    children: list[tuple[Any, Any]]
    if isinstance(node, CommentedMap):
        children = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, CommentedSeq):
        children = list(enumerate(node))
    else:
        return {}
    # Keys that were merged in from elsewhere (`<<`) have no line here.
    places = {str(key): place[0] + 1 for key, place in (node.lc.data or {}).items()}
    lines = {}
    for key, value in children:
        inner = path + (key,)  # noqa: RUF005  unpacking in an index needs Python 3.11
        if str(key) in places:
            lines[inner] = places[str(key)]
        lines |= lines_of(value, inner)
    return lines


def explain(problem: Any, root: Any) -> list[tuple[tuple[Any, ...], str]]:
    """What was expected and what came, in the words of a configuration file, and of which key."""
    where = tuple(part for part in problem["loc"] if part != "[key]")
    kind, received = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        known = ", ".join(sorted(_keys_at(root, where[:-1])))
        return [(where, f"unknown key; expected one of: {known}")]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key, known = problem["ctx"]["discriminator"].strip("'"), problem["ctx"].get("expected_tags")
        came = f"received '{problem['ctx']['tag']}'" if known else "received none"
        expected = f"expected one of: {known}" if known else f"expected a name under '{key}'"
        return [((*where, key), f"{expected}; {came}")]
    if kind == "missing":
        return [(where, "required key is missing")]
    if kind == "value_error":
        error = problem["ctx"]["error"]
        if isinstance(error, Misfits):
            return list(error.problems)
        return _split(root, where, str(error))
    message = problem["msg"].replace("Input should be", "expected")
    message = message.replace("a valid integer", "an integer").replace("valid ", "")
    if kind == "model_type":
        message = "expected keys and values"
    return [(where, f"{message}, received {received!r}")]


def _split(root: Any, where: tuple[Any, ...], message: str) -> list[tuple[tuple[Any, ...], str]]:
    """Several faults that a section tells at once, each with the key that it begins with."""
    told = []
    for part in re.split(r"; (?=[a-z_.]+: )", message):
        name, _, rest = part.partition(": ")
        inner = tuple(name.split("."))
        known = bool(rest) and inner[-1] in _keys_at(root, (*where, *inner[:-1]))
        told.append(((*where, *inner), rest) if known else (where, part))
    return told


def _keys_at(root: Any, where: tuple[Any, ...]) -> list[str]:
    section: Any = root
    for part in where:
        field = section.model_fields.get(part) if hasattr(section, "model_fields") else None
        if field is None:
            # Inside a mapping of sections, such as gate.thresholds.<metric>, or a list of
            # sections of several kinds, of which the name in the place tells one.
            section = next((s for s in _sections_in(section) if _name_of(s) == part), section)
            continue
        section = field.annotation
        inner = [part for part in get_args(section) if hasattr(part, "model_fields")]
        if len(inner) == 1:  # of several kinds, the next part of the place names one
            section = inner[0]
    return list(getattr(section, "model_fields", {}))


def _sections_in(annotation: Any) -> Iterator[Any]:
    """The sections among the parts of a type, however deep."""
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)


def _name_of(section: Any) -> str | None:
    """What tells a section from others of its kind: the key that has one possible value."""
    for field in section.model_fields.values():
        names = get_args(field.annotation)
        if get_origin(field.annotation) is Literal and len(names) == 1:
            return str(names[0])
    return None
