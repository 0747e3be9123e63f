"""A run as one HTML page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .charts import Epoch, curve, metric_rows, rule_row, slice_rows
from .differences import Difference, difference
from .html_document import as_image, html_document
from .picture import Picture


class Component(NamedTuple):
    """What a component of the pipeline did."""

    name: str
    state: str  # 'done', 'cached', 'running', 'stopped' or 'failed'
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
    notes: Sequence[str] = ()  # what to know of the verdict


def render(run: Run, template: str = "report.html", metric: str = "", **more: Any) -> str:
    """Writes a run as an HTML document.

    Args:
      run: what is told.
      template: `report.html`, or one that extends it.
      metric: of the bars of slices; the first if ''.
      more: what the template names beside.
    """
    return html_document(
        template,
        **more,
        metric=metric,
        run=run,
        verdict=run.verdict,
        metrics=metric_rows(run.verdict),
        rules=[rule_row(rule) for rule in run.verdict["rules"]],
        slices=slice_rows(run.verdict, metric),
        curve=curve(run.epochs),
        slowest=max([1e-9, *(component.seconds for component in run.components)]),
        seconds=sum(component.seconds for component in run.components),
        difference=_difference,
        images=[as_image(picture) for picture in run.pictures],
    )


def with_newer(page: str, outcome: str, when: str, reason: str) -> str:
    """The page of a run, which tells of a newer one without a page, and of no other.

    Args:
      page: as `render` wrote it.
      outcome: of the newer run, in words.
      when: it ended.
      reason: why it came to no verdict.
    """
    told = html_document("newer.html", outcome=outcome, when=when, reason=reason)
    page = re.sub(r'<aside class="card" id="newer".*?</aside>\n?', "", page, flags=re.DOTALL)
    return re.sub(r"<main[^>]*>\n?", lambda main: f"{main[0]}{told}\n", page, count=1)


def _difference(example: Example) -> Difference:
    return difference(example.reference, example.hypothesis)
