"""Writes `report.html` of a run: reads its artifacts, and leaves the page to `report`."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from ..components.metrics import MEASURES
from ..components.run_fn import HISTORY
from ..components.sentence_files import ATTENTION, read_rows
from ..components.sentences import BASELINE, CANDIDATE, Row
from ..report.run_files import read_epochs, read_pictures
from ..report.run_page import Component, Example, Group, Run, render, with_newer
from .summary import RunSummary

REPORT = "report.html"
SHOWN = 20  # sentences of a group


def write_report(name: str, summary: RunSummary, output: Path, notes: Sequence[str] = ()) -> Path:
    """Writes the page of the newest run.

    Args:
      name: of the job.
      summary: of the run.
      output: its folder.
      notes: what to know of the verdict.

    Returns:
      The page.
    """
    verdict = summary.verdict
    metric = verdict["rules"][0]["metric"]
    outcome = "blessed and pushed" if summary.released else "not blessed"
    if verdict["blessed"] and not summary.released:
        outcome = "blessed, but not servable"
    page = render(
        Run(
            name=name,
            when=_now(),
            released=summary.released,
            outcome=outcome,
            components=[Component(*node) for node in summary.nodes],
            counts=summary.counts,
            verdict=verdict,
            notes=notes,
            faults=summary.infra["faults"],
            epochs=read_epochs(summary.model_run / HISTORY),
            groups=_groups(read_rows(str(summary.sentences)), metric),
            pictures=read_pictures(summary.sentences / ATTENTION),
        )
    )
    path = output / REPORT
    _write(path, page)
    return path


def mark_report(output: Path, outcome: str, reason: str) -> None:
    """Lets the page of the last run with a verdict tell of a newer one, which came to none.

    Args:
      output: the job's folder; where it has no page nothing is written.
      outcome: of the newer run, in words.
      reason: why.
    """
    path = output / REPORT
    if path.exists():
        page = with_newer(path.read_text("utf-8"), outcome, _now(), reason)
        _write(path, page)


def _write(path: Path, page: str) -> None:
    """Writes the page, or leaves the one that is there: the disk may be full."""
    whole = path.with_name(f".{path.name}.new")
    whole.write_text(page, encoding="utf-8")
    whole.replace(path)


def _now() -> str:
    return time.strftime("%d %B %Y, %H:%M", time.localtime())


class _Judged(NamedTuple):
    """A row with what it is sorted by: larger is worse."""

    row: Row
    far: float  # from the closest reference, 0 to 1
    lost: float  # by how much the answer is worse than the baseline's, in the metric
    repeated: float


def _groups(rows: Iterable[Row], metric: str) -> list[Group]:
    """The sentences that are worth a look, in groups that have any."""
    order: dict[tuple[str, str], Callable[[_Judged], float]] = {
        ("Furthest from their references", "Edits over the longer text, in characters."): (
            lambda judged: judged.far
        ),
        ("Lost", f"Worse than what the last blessed model answered, by {metric}."): (
            lambda judged: judged.lost
        ),
        ("Won", f"Better than what the last blessed model answered, by {metric}."): (
            lambda judged: -judged.lost
        ),
        ("Repeating themselves", "Answers in which 4-grams stand more than once."): (
            lambda judged: judged.repeated
        ),
    }
    found: list[list[tuple[float, float, str, _Judged]]] = [[] for _ in order]
    for row in rows:
        judged = _judge(row, metric)
        for heap, key in zip(found, order.values(), strict=True):
            if key(judged) > 0:
                item = (key(judged), judged.far, row["id"], judged)
                (heapq.heappushpop if len(heap) >= SHOWN else heapq.heappush)(heap, item)
    return [
        Group(*words, [_example(item[-1], metric) for item in sorted(heap, reverse=True)])
        for words, heap in zip(order, found, strict=True)
        if heap
    ]


def _judge(row: Row, metric: str) -> _Judged:
    text = row[CANDIDATE]["text"]
    far = min(Levenshtein.normalized_distance(text, r) for r in row["references"])
    lost = 0.0
    if BASELINE in row:
        mine, other = (
            MEASURES[metric].loss(_figure(row, m, metric)) for m in (CANDIDATE, BASELINE)
        )
        lost = mine - other
    return _Judged(row, far, lost, _figure(row, CANDIDATE, "repetition_rate"))


def _example(judged: _Judged, metric: str) -> Example:
    row = judged.row
    text = row[CANDIDATE]["text"]
    closest = min(row["references"], key=lambda r: Levenshtein.distance(text, r))
    baseline = row[BASELINE]["text"] if BASELINE in row else None
    notes = [f"{metric} {_in_words(_figure(row, CANDIDATE, metric))}"]
    if baseline == text:
        notes.append("the last blessed model answered the same")
    elif baseline is not None:
        notes.append(f"of the last blessed model {_in_words(_figure(row, BASELINE, metric))}")
    notes.append(f"log-probability {row[CANDIDATE]['log_prob']:.2f}")
    return Example(
        source=row["source"],
        reference=closest,
        more_references=len(row["references"]) - 1,
        hypothesis=text,
        baseline=None if baseline == text else baseline,
        note=", ".join(notes),
    )


def _figure(row: Row, model: str, metric: str) -> float:
    return MEASURES[metric].sentence_figure(row[model]["statistics"][metric])


def _in_words(figure: float) -> str:
    return f"{figure:.4g}" if math.isfinite(figure) else "no number"
