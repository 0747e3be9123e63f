"""What the pages link to is there, in the line that they name, and drawn by its script."""

import sys
from pathlib import Path

import pytest

from .scripts import script

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "scripts"))  # as for a script that is run, which finds those beside it


doc_links, draw_pictures = script("scripts/doc_links"), script("scripts/draw_pictures")

CODE = '''"""A module."""

LIMIT = 3


class Cell:
    units: int = 2

    @property
    def wide(self):
        return True


async_ = LIMIT
'''


@pytest.fixture
def page(tmp_path):
    """Writes a page beside `code.py`."""

    def write(text, name="page.md"):
        (tmp_path / "code.py").write_text(CODE)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_every_link_of_the_pages_leads_where_it_says(capsys):
    code = doc_links.main(["--check"])
    assert code == 0, f"`make docs` renews what is stale:\n{capsys.readouterr().out}"


@pytest.mark.parametrize(
    ("name", "line"), [("LIMIT", 3), ("Cell", 6), ("Cell.units", 7), ("Cell.wide", 10)]
)
def test_a_name_is_found_in_the_line_where_it_is_defined(page, name, line):
    text, findings = doc_links.renew(page(f"`a` [`{name}`](code.py#L99), `b`\n"))
    assert text == f"`a` [`{name}`](code.py#L{line}), `b`\n"
    assert [finding.is_stale for finding in findings] == [True]
    assert doc_links.renew(page(text)) == (text, [])


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("[`Cell.deep`](code.py#L6)", "code.py defines no Cell.deep"),
        ("[`x`](missing.py#L6)", "missing.py: there is no such file"),
        ("![a picture](missing.svg)", "missing.svg: there is no such file"),
        ("[a cell](code.py#L6)", "expected a `name`"),
        ("[below](#else)", "page.md has no heading #else"),
    ],
)
def test_a_broken_link_is_told_with_its_place_and_left_alone(page, link, problem):
    text = f"# Here\n\n{link}\n"
    given, findings = doc_links.renew(page(text))
    assert given == text
    assert [finding.place for finding in findings] == ["page.md:3"]
    assert problem in findings[0].what and not findings[0].is_stale


def test_what_is_no_link_or_leads_elsewhere_is_not_looked_at(page):
    text = (
        "# The `last` one, here\n\n"
        "[out](https://example.org/x.py#L1) [up](#the-last-one-here) `[no](no.py#L1)`\n\n"
        "```python\nrows[0](no.py)\n```\n"
    )
    assert doc_links.renew(page(text)) == (text, [])


@pytest.mark.parametrize("name", draw_pictures.DIAGRAMS)
def test_a_diagram_is_what_its_script_draws(name):
    drawn = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text("utf-8")
    assert draw_pictures.DIAGRAMS[name]() == drawn, "`make docs` draws it anew"
