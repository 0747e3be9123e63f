"""Which spans are due: a missed night is caught up, and a refused span is left out."""

from __future__ import annotations

from collections.abc import Sequence

from ..components.spans import Span, in_order
from .run_records import SETTLED, RunRecord


def due(
    available: Sequence[Span], runs: Sequence[RunRecord], window: int, catch_up: bool
) -> list[list[Span]]:
    """The spans of each run that is due, runs and spans oldest first.

    With `catch_up`, that is a run for each span later than the last settled one, and for that
    one's correction unless a wider window reads it with the next; where none is settled, from
    the first that a run has taken. Without it, and where none is later, it is one for the
    newest. A run reads the window that ends with its span, without spans that the data gate
    has refused.

    Args:
      available: what is there, oldest first; not empty.
      runs: the runs so far, oldest first.
      window: so many spans are read together.
      catch_up: whether spans that no run has settled get their own.
    """
    targets = list(available[-1:])
    if catch_up:
        last = _last_settled(runs)
        taken = [Span.parse(run.spans[-1]).number for run in runs if run.spans]
        if last is not None:
            later = [span for span in available if in_order(span) > in_order(last)]
            apart = [span for span in later if window == 1 or span.number > last.number]
            targets = apart or targets
        elif taken:
            targets = [span for span in available if span.number >= min(taken)] or targets
    return windows(targets, available, runs, window)


def windows(
    targets: Sequence[Span], available: Sequence[Span], runs: Sequence[RunRecord], window: int
) -> list[list[Span]]:
    """What a run of each span reads: those before it, too, but what the data gate has refused.

    Args:
      targets: the newest span of each run.
      available: what is there, oldest first.
      runs: the runs so far, oldest first.
      window: so many spans are read together.
    """
    without = refused(runs)
    found = []
    for target in targets:
        earlier = [s for s in available if s.number < target.number and s not in without]
        found.append([*(earlier[1 - window :] if window > 1 else []), target])
    return found


def too_late(
    available: Sequence[Span], runs: Sequence[RunRecord], nights: Sequence[Sequence[Span]]
) -> list[Span]:
    """Corrections of spans that no run reads, for later spans are settled.

    A run of their own would release a model of older data in place of one of newer.

    Args:
      available: what is there.
      runs: the runs so far, oldest first.
      nights: the spans of each run that is due.
    """
    read = {span for run in runs for span in map(Span.parse, run.spans)}
    numbers = {span.number for span in read if span.version is not None}
    read |= {span for spans in nights for span in spans}
    last = _last_settled(runs)
    return [
        span
        for span in available
        if span.number in numbers and span not in read and last and span.number < last.number
    ]


def _last_settled(runs: Sequence[RunRecord]) -> Span | None:
    settled = [Span.parse(run.spans[-1]) for run in runs if run.spans and run.verdict in SETTLED]
    return max(settled, key=in_order, default=None)


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
