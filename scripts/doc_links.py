"""Keeps the pages' links to code right.

A link to a line names what stands there, such as
[`AdditiveAttention.score`](../models/attention.py#L89). The name is looked up in
the file, and the line renewed; headings and files that links lead to must exist.

    .venv/bin/python scripts/doc_links.py            # renews the lines
    .venv/bin/python scripts/doc_links.py --check    # lists what is stale or broken
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("*.md", "docs/*.md", "serving/*.md", "benchmarks/*.md")

_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|\[?`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?P<label>[^\[\]]*)\]\((?P<file>[^()\s#]*)(?:#(?P<anchor>[^()\s]*))?\)")
_NAME = re.compile(r"`([\w.]+)`")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


class Finding(NamedTuple):
    """A link that does not lead where it says."""

    place: str  # file:line of the link
    what: str
    is_stale: bool  # whether a new line number mends it


def renew(page: Path) -> tuple[str, list[Finding]]:
    """Gives a page's text with its line numbers renewed, and all that was wrong in it."""
    text = page.read_text("utf-8")
    plain = _without_code(text)
    parts, end, findings = [], 0, []
    for link in _LINK.finditer(plain):
        place = f"{page.name}:{text.count(chr(10), 0, link.start()) + 1}"
        problem, line = _problem(page, **link.groupdict())
        if line is not None and link["anchor"] != f"L{line}":
            parts += [text[end : link.start("anchor")], f"L{line}"]
            end = link.end("anchor")
            findings.append(Finding(place, f"{link['label']} stands in line {line} now", True))
        elif problem:
            findings.append(Finding(place, problem, False))
    return "".join([*parts, text[end:]]), findings


def _problem(page: Path, label: str, file: str, anchor: str | None) -> tuple[str, int | None]:
    """What is wrong with a link, and the line that its name stands in, if it has one."""
    if ":" in file:
        return "", None  # somewhere else
    target = page.parent / file if file else page
    if not target.exists():
        return f"{file}: there is no such file", None
    if anchor is None:
        return "", None
    if target.suffix == ".py":
        name = _NAME.fullmatch(label)
        if not name:
            return f"[{label}]: expected a `name`, by which the line in {file} is found", None
        line = definitions(target).get(name[1])
        return ("" if line else f"{file} defines no {name[1]}"), line
    if target.suffix == ".md" and anchor not in headings(target):
        return f"{file or page.name} has no heading #{anchor}", None
    return "", None


@functools.cache
def definitions(module: Path) -> dict[str, int]:
    """The line of each class, function, method and constant, by its qualified name."""
    return dict(_defined(ast.parse(module.read_text("utf-8")).body, ""))


def _defined(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name, node.lineno
        if isinstance(node, ast.ClassDef):
            yield from _defined(node.body, f"{prefix}{node.name}.")
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                yield prefix + target.id, node.lineno


def headings(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = _HEADING.findall(re.sub(r"`", "", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _without_code(text: str) -> str:
    """Blanks code, but for labels of links; places stay where they are."""

    def blank(code: re.Match[str]) -> str:
        return code[0] if code[0].startswith("[") else re.sub(r"[^\n]", " ", code[0])

    return _CODE.sub(blank, text)


def main(arguments: list[str]) -> int:
    """Renews or checks all pages; gives the exit code."""
    check, findings = "--check" in arguments, []
    for page in sorted(page for pattern in PAGES for page in ROOT.glob(pattern)):
        text, found = renew(page)
        findings += found
        if not check and any(finding.is_stale for finding in found):
            page.write_text(text, "utf-8")
    for finding in findings:
        print(f"{finding.place}: {finding.what}")
    wrong = [finding for finding in findings if check or not finding.is_stale]
    if check and any(finding.is_stale for finding in wrong):
        print("`make docs` renews the lines")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
