"""Two runs side by side."""

from __future__ import annotations

import math
from typing import Any

from ..differences import closest, difference
from ..html_document import html_document
from .comparison import Change, Difference, shared_metrics
from .records import Run, Store, changes
from .runs_page import when
from .source import NotThere, Source


def compare_page(
    source: Source, before: tuple[Store, Run], after: tuple[Store, Run], metric: str
) -> str:
    """Writes the page.

    Args:
      source: of everything.
      before: the earlier run and its store.
      after: the later one.
      metric: by which slices and sentences are compared.
    """
    names = shared_metrics(source.sentences(*before), source.sentences(*after), source.library)
    if not names:
        raise NotThere("the two runs have no metric in common that they can be compared by")
    wanted = next(name for name in (metric, source.metric(*after), *names) if name in names)
    found = source.compare(before, after, wanted)
    return html_document(
        "dashboard/compare.html",
        runs=[
            {"address": f"{s.name}/{r.id}", "name": r.pipeline, "when": when(r.started)}
            for s, r in (before, after)
        ],
        changes=changes(after[0], after[1], before[1], before[0]),
        metric=wanted,
        metrics=names,
        found=found.overall,
        rows=[_drawn(one) for one in found.overall.metrics],
        slices=[_drawn(one) for one in found.slices],
        untold=found.untold,
        better=[_shown(change) for change in found.better],
        worse=[_shown(change) for change in found.worse],
    )


def _drawn(one: Difference) -> dict[str, Any]:
    """A difference, and where it and zero lie on a scale of its own, in percent."""
    value = one.after - one.before
    ends = [0.0, value, one.low, one.high]
    finite = all(map(math.isfinite, ends))
    low, high = (min(ends), max(ends)) if finite else (0.0, 0.0)
    room = (high - low) * 0.12 or 1.0
    places = [100 * (end - low + room) / (high - low + 2 * room) for end in ends] if finite else []
    return {"one": one, "value": value, "told": math.isfinite(value), "places": places}


def _shown(change: Change) -> dict[str, Any]:
    """A change, each answer marked against the reference that it is closest to."""
    answers = {"before": change.before, "after": change.after}
    nearest = {side: closest(change.references, text) for side, text in answers.items()}
    return {
        "change": change,
        "references": dict.fromkeys(nearest.values()),
        **{side: difference(nearest[side], text) for side, text in answers.items()},
    }
