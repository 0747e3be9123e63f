"""Which spans are due: a missed night is caught up, and a refused span is left out."""

from __future__ import annotations

from collections.abc import Sequence

from ..components.spans import Span
from .run_records import SETTLED, RunRecord


def due(
    available: Sequence[Span], runs: Sequence[RunRecord], window: int, catch_up: bool
) -> list[list[Span]]:
    """The spans of each run that is due, runs and spans oldest first.

    With `catch_up`, that is a run for each span later than the last settled one. Without
    it, and where none is later, it is one for the newest. A run reads the window that ends
    with its span, without spans that the data gate has refused.

    Args:
      available: what is there, oldest first; not empty.
      runs: the runs so far, oldest first.
      window: so many spans are read together.
      catch_up: whether spans that no run has settled get their own.
    """
    settled = [Span.parse(run.spans[-1]) for run in runs if run.spans and run.verdict in SETTLED]
    last = max((span.number for span in settled), default=None)
    targets = list(available[-1:])
    if catch_up and last is not None:
        targets = [span for span in available if span.number > last] or targets
    without = refused(runs)
    nights = []
    for target in targets:
        earlier = [s for s in available if s.number < target.number and s not in without]
        nights.append([*(earlier[1 - window :] if window > 1 else []), target])
    return nights


def refused(runs: Sequence[RunRecord]) -> set[Span]:
    """The spans for which the data gate stopped a run, and which none has passed since.

    Only where all others of that run had passed before: else nobody knows which it was.
    A newer version of a span is another span.

    Args:
      runs: oldest first.
    """
    passed: set[Span] = set()
    found: set[Span] = set()
    for run in runs:
        spans = list(map(Span.parse, run.spans))
        if run.verdict in ("pushed", "not_blessed"):
            passed |= set(spans)
        elif run.verdict == "data_gate" and spans and passed.issuperset(spans[:-1]):
            found.add(spans[-1])
    return found - passed
