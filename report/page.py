"""A run as one HTML page: it opens from disk, asks for nothing and runs nothing.

The page has no script, and its policy forbids any; all text goes through Jinja's
escaping. What is drawn is SVG in the page, or a picture of this room as an image.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from .charts import Epoch, curve, metric_rows, rule_row, slice_rows
from .differences import Difference, difference
from .labels import readable
from .picture import Picture
from .svg import to_svg

LONGEST = 400  # clusters of a text that are shown
TEMPLATES = Path(__file__).parent / "templates"


class Component(NamedTuple):
    """What a component of the pipeline did."""

    name: str
    state: str  # 'done', 'cached' or 'failed'
    seconds: float


class Example(NamedTuple):
    """A sentence that is worth looking at."""

    source: str
    reference: str  # the closest one
    more_references: int
    hypothesis: str
    baseline: str | None
    note: str  # figures in words


class Group(NamedTuple):
    """Sentences that have something in common."""

    title: str
    about: str
    examples: list[Example]


class Run(NamedTuple):
    """All that a page tells."""

    name: str
    when: str
    released: bool
    outcome: str  # in words
    components: list[Component]
    counts: dict[str, Any]  # of ingestion
    verdict: dict[str, Any]  # of the gate
    faults: list[str]  # of infra validation
    epochs: list[Epoch]
    groups: list[Group]
    pictures: list[Picture]


def render(run: Run) -> str:
    """Writes a run as an HTML document."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_number,
        seconds=_seconds,
        thousands=lambda value: f"{value:,}",
        short=lambda text: readable(text, LONGEST),
    )
    return environment.get_template("report.html").render(
        run=run,
        verdict=run.verdict,
        metrics=metric_rows(run.verdict),
        rules=[rule_row(rule) for rule in run.verdict["rules"]],
        slices=slice_rows(run.verdict),
        curve=curve(run.epochs),
        slowest=max([1e-9, *(component.seconds for component in run.components)]),
        seconds=sum(component.seconds for component in run.components),
        difference=_difference,
        images=[(picture, _data_uri(picture)) for picture in run.pictures],
    )


def _difference(example: Example) -> Difference:
    return difference(example.reference, example.hypothesis)


def _data_uri(picture: Picture) -> str:
    # An image of its own: nothing of it can reach into the page.
    return "data:image/svg+xml;base64," + base64.b64encode(to_svg(picture).encode()).decode()


def _number(value: float | None) -> str:
    if value is None:
        return "no number"
    shown = f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def _seconds(value: float) -> str:
    minutes, seconds = divmod(value, 60)
    return f"{minutes:.0f} min {seconds:.0f} s" if minutes else f"{value:.1f} s"
