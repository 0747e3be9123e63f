"""The list of runs, and one run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ..html_document import html_document
from ..run_files import read_epochs, read_pictures
from ..run_page import Component
from ..run_page import Run as ShownRun
from ..run_page import render as render_run
from .records import (
    EVALUATOR,
    INGESTION,
    TRAINER,
    Changes,
    Run,
    Store,
    changes,
    input_files,
    lineage,
)
from .sentences import SET
from .source import Source

PAGE = 50  # runs of a pipeline
KEPT = {"pushed": "blessed and pushed", "not_blessed": "not blessed"}  # of a run, whatever is gone
OFFERED = 200  # slices to choose from


class Row(NamedTuple):
    """A run in the list."""

    run: Run
    address: str  # store/number
    when: str
    released: bool
    outcome: str
    figure: dict[str, Any] | None  # of the metric, with its places on the scale
    changes: Changes | None
    version: str
    labels: list[str]
    slowest: list[Component]
    has_sentences: bool


class Pipeline(NamedTuple):
    """The runs of a pipeline in an output folder."""

    name: str
    folder: Path
    rows: list[Row]
    metric: str
    total: int


def when(seconds: float) -> str:
    """A time for people, of this machine's zone."""
    return time.strftime("%d %b %Y, %H:%M", time.localtime(seconds))


def runs_page(source: Source, page: int = 1, metric: str = "", part: str = "") -> str:
    """Writes the list of runs of all pipelines.

    Args:
      source: of everything.
      page: of the runs of each pipeline, 1 being the newest; one that is not there is the last.
      metric: that is followed over the runs; the gate's first if ''.
      part: a slice or challenge set, as verdicts name it; the test split if ''.
    """
    stores, unreadable = source.stores()
    pipelines = []
    metrics: dict[str, None] = {}
    parts: dict[str, None] = {}
    found = [
        (store, name, [run for run in store.runs if run.pipeline == name])
        for store in stores
        for name in dict.fromkeys(run.pipeline for run in store.runs)
    ]
    most = max([1, *(-(-len(runs) // PAGE) for _, _, runs in found)])
    page = min(page, most)
    for store, name, runs in found:
        shown = runs[(page - 1) * PAGE : page * PAGE]
        followed = metric or next((m for run in shown if (m := source.metric(store, run))), "")
        rows = _rows(source, store, shown, followed, part)
        pipelines.append(Pipeline(name, store.folder, rows, followed, len(runs)))
        for verdict in filter(None, (source.verdict(store, run) for run in shown)):
            metrics |= dict.fromkeys(verdict["candidate"])
            parts |= dict.fromkeys(one["slice"] for one in verdict["slices"])
    # Challenge sets first: what must not break is what is followed.
    offered = sorted(parts, key=lambda name: not name.startswith(f"{SET}="))[:OFFERED]
    # The first comparison that one may want: the newest two that were evaluated.
    evaluated = [
        [row.address for row in pipeline.rows if row.has_sentences] for pipeline in pipelines
    ]
    chosen = next((addresses[:2] for addresses in evaluated if len(addresses) > 1), ["", ""])
    return html_document(
        "dashboard/runs.html",
        pipelines=pipelines,
        unreadable=unreadable,
        page=page,
        pages=most,
        chosen=chosen,
        metric=metric,
        metrics=[*dict.fromkeys([*metrics, *filter(None, [metric])])],
        part=part,
        parts=[*dict.fromkeys([*offered, *filter(None, [part])])],
        unoffered=len(parts) - len(offered),
        kept=urlencode({k: v for k, v in {"metric": metric, "slice": part}.items() if v}),
    )


def _followed(verdict: dict[str, Any], metric: str, part: str) -> list[float] | None:
    """The lower end, figure and upper end that a run's row draws; of a slice the figure alone."""
    if part:
        found = next((one for one in verdict["slices"] if one["slice"] == part), None)
        figure = found["candidate"].get(metric) if found else None
        return None if figure is None else [figure] * 3
    figure = verdict["candidate"].get(metric)
    low, high = verdict["intervals"]["candidate"].get(metric) or (figure, figure)
    if figure is None:
        return None
    return [figure if low is None else low, figure, figure if high is None else high]


def _rows(source: Source, store: Store, runs: list[Run], metric: str, part: str) -> list[Row]:
    figures: dict[int, list[float]] = {}
    for run in runs:
        verdict = source.verdict(store, run)
        found = _followed(verdict, metric, part) if verdict else None
        if found:
            figures[run.id] = found
    ends = [end for three in figures.values() for end in three]
    bottom, top = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = (top - bottom) * 0.1 or 0.05
    rows = []
    for run in runs:
        drawn = None
        if run.id in figures:
            places = [
                100 * (end - bottom + room) / (top - bottom + 2 * room) for end in figures[run.id]
            ]
            drawn = {
                "figure": figures[run.id][1],
                "low": places[0],
                "at": places[1],
                "high": places[2],
            }
        before = store.before(run)
        version, labels = version_of(source, store, run)
        rows.append(
            Row(
                run,
                f"{store.name}/{run.id}",
                when(run.started),
                bool(version),
                outcome(source, store, run),
                drawn,
                changes(store, run, before) if before else None,
                version,
                labels,
                slowest(run),
                source.has_sentences(store, run),
            )
        )
    return rows


def slowest(run: Run, most: int = 3) -> list[Component]:
    """The components that took longest."""
    done = [one for one in run.executions if one.state != "cached"]
    done.sort(key=lambda one: -one.seconds)
    return [Component(one.component, one.state, one.seconds) for one in done[:most]]


def version_of(source: Source, store: Store, run: Run) -> tuple[str, list[str]]:
    """The version that a run pushed, '' if none, and what servers call it."""
    artifact = store.artifacts.get(run.output("Pusher", "pushed_model") or -1)
    if artifact is None or not artifact.properties.get("pushed"):
        return "", []
    version = str(artifact.properties.get("pushed_version", ""))
    base = Path(str(artifact.properties.get("pushed_destination", ""))).parent
    here = store.folder / "serving" / base.name
    base = here if here.is_dir() else base
    labels = source.outside.labels(base)
    if not version.isdecimal() or not (base / version).is_dir():
        return version, ["removed"]
    if not labels:
        newest = max((int(p.name) for p in base.iterdir() if p.name.isdecimal()), default=0)
        return version, ["serving"] if int(version) == newest else []
    return version, sorted(label for label, number in labels.items() if number == int(version))


def outcome(source: Source, store: Store, run: Run) -> str:
    """What came of a run, in words."""
    for execution in run.executions:
        if execution.state in ("failed", "running", "stopped"):
            return f"{execution.state}: {execution.component}"
    if run.verdict in ("failed", "stopped", "running"):  # between components
        return run.verdict
    verdict = source.verdict(store, run)
    if verdict is None:  # `seq2seq gc` removed it, or the run has none
        return KEPT.get(run.verdict, "no verdict")
    if not verdict["blessed"]:
        return "not blessed"
    return "blessed and pushed" if version_of(source, store, run)[0] else "blessed, not servable"


def run_page(source: Source, store: Store, run: Run, metric: str = "") -> str:
    """Writes the page of a run: that of `report.html`, and where it came from."""
    before = store.before(run)
    comparable = before if before and source.has_sentences(store, before) else None
    version, labels = version_of(source, store, run)
    verdict = source.verdict(store, run)
    pushed = run.output("Pusher", "pushed_model") if version else None
    origin = next(
        (found for found in (pushed, run.output(TRAINER, "model")) if found is not None), None
    )
    more = {
        "address": f"{store.name}/{run.id}",
        "folder": store.folder,
        "before": f"{store.name}/{comparable.id}" if comparable else "",
        "changes": changes(store, run, before) if before else None,
        "version": version,
        "labels": labels,
        "origins": [
            (one, when(one.run.started) if one.run else "", store.place(one.artifact.id))
            for one in (lineage(store, origin) if origin is not None else [])
        ],
        "files": input_files(store, run),
        "has_sentences": source.has_sentences(store, run),
        "has_model": source.model_folder(store, run) is not None,
        "has_data": data_report(store, run) is not None,
    }
    components = [Component(e.component, e.state, e.seconds) for e in run.executions]
    said = outcome(source, store, run)
    if verdict is None:
        return html_document(
            "dashboard/unfinished.html",
            run=run,
            when=when(run.started),
            outcome=said,
            components=components,
            removed=run.verdict in KEPT,
            slowest=max([1e-9, *(c.seconds for c in components)]),
            **more,
        )
    names = [*verdict["candidate"]]
    metric = metric if metric in names else source.metric(store, run)
    counts = source.json(_file(store, run, INGESTION, "rejected", "counts.json"))
    infra = source.json(_file(store, run, "InfraValidator", "blessing", "report.json"))
    history = _file(store, run, TRAINER, "model_run", "history.json")
    attention = _file(store, run, EVALUATOR, "sentences", "attention.jsonl")
    shown = ShownRun(
        name=run.pipeline,
        when=when(run.started),
        released=bool(version),
        outcome=said,
        components=components,
        counts=counts or {"read": 0, "accepted": 0, "rejected": {}, "examples": {}},
        verdict=verdict,
        faults=(infra or {}).get("faults", []),
        epochs=read_epochs(history) if history and history.exists() else [],
        groups=[],
        pictures=read_pictures(attention) if attention and attention.exists() else [],
    )
    return render_run(shown, "dashboard/run.html", metric, names=names, **more)


def data_report(store: Store, run: Run) -> Path | None:
    """The page about the pairs that a run was given."""
    file = _file(store, run, "BitextValidator", "report", "report.html")
    return file if file and file.exists() else None


def _file(store: Store, run: Run, component: str, key: str, name: str) -> Path | None:
    folder = store.place(run.output(component, key))
    return folder / name if folder else None
