"""The runs of an output folder, from ML Metadata alone: quick, without the stack.

What came of a run is kept with it, as custom properties of its context. Runs that
have none, of earlier versions or killed before their end, are told by their components.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from .run_folder import METADATA

Verdict = Literal["pushed", "not_blessed", "data_gate", "failed", "stopped", "running"]
# Such a run needs no repetition: the same data would end it in the same way.
SETTLED: tuple[Verdict, ...] = ("pushed", "not_blessed", "data_gate")
VERDICT, REASON = "verdict", "reason"
UNDER_WAY: Verdict = "running"  # between processes that each run a component

STATES = {  # what a component is called that ML Metadata knows to be so
    pb.Execution.COMPLETE: "done",
    pb.Execution.CACHED: "cached",
    pb.Execution.RUNNING: "running",
}
_RUN, _NODE = "pipeline_run", "node"


class RunRecord(NamedTuple):
    """One run."""

    id: int
    name: str
    started: float  # seconds since 1970
    finished: float
    verdict: Verdict
    reason: str
    spans: list[str]  # oldest first; none where data has none
    components: dict[str, str]  # name -> done | cached | failed | running
    version: str | None  # pushed
    pushed_to: str | None

    def to_json(self) -> dict[str, Any]:
        """The record with times as ISO 8601 in UTC."""
        told = self._asdict()
        for key in ("started", "finished"):
            told[key] = datetime.fromtimestamp(told[key], timezone.utc).isoformat()
        return told


class NoRuns(Exception):
    """The folder holds no record of runs, or none that can be read."""


def open_store(output: Path, writable: bool = False) -> mlmd.MetadataStore:
    """The metadata of an output folder.

    Raises:
      NoRuns: there is none, or it is damaged.
    """
    path = output / METADATA
    if not path.is_file():
        raise NoRuns(f"expected runs recorded in {path}, found no such file")
    if not path.stat().st_size and not writable:
        raise NoRuns(f"expected runs recorded in {path}, found an empty file")
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    modes = pb.SqliteMetadataSourceConfig
    config.sqlite.connection_mode = modes.READWRITE if writable else modes.READONLY
    try:
        return mlmd.MetadataStore(config)
    except (RuntimeError, mlmd.errors.StatusError) as error:
        # The query follows, over many lines.
        why = str(error).removeprefix("Error when executing query: ").partition(" query:")[0]
        raise NoRuns(f"expected runs recorded in {path}, cannot read it: {why}") from error


def newest_id(output: Path) -> int:
    """The id of the newest run; 0 where there is none."""
    try:
        store = open_store(output)
    except NoRuns:
        return 0
    return max((run.id for run in _contexts(store, _RUN)), default=0)


def record(output: Path, after: int, verdict: Verdict, reason: str = "") -> int | None:
    """Keeps what came of a run.

    Args:
      output: its folder.
      after: the newest run before it.
      verdict: what came of it.
      reason: for people.

    Returns:
      The id of the run; None where it ended before its first component.
    """
    try:
        store = open_store(output, writable=True)
    except NoRuns:
        return None
    run = min((c for c in _contexts(store, _RUN) if c.id > after), key=_id, default=None)
    if run is None:
        return None
    run.custom_properties[VERDICT].string_value = verdict
    run.custom_properties[REASON].string_value = reason
    store.put_contexts([run])
    return int(run.id)


def left_open(output: Path, but: str = "") -> RunRecord | None:
    """The newest run, if it has no end: it is under way, or was killed.

    Args:
      output: its folder.
      but: the name of a run to pass over.

    Raises:
      NoRuns: there is no record.
    """
    store = open_store(output)
    contexts = [each for each in run_contexts(store) if each.name != but]
    newest = max(contexts, key=_id, default=None)
    if newest is None or text_of(newest, VERDICT) not in ("", UNDER_WAY):
        return None
    (run,) = _read(store, [newest])
    return run if run.verdict in ("stopped", UNDER_WAY) else None


def run_named(output: Path, name: str) -> RunRecord | None:
    """The run of an id that a scheduler gave; None where nothing of it has begun."""
    try:
        store = open_store(output)
    except NoRuns:
        return None
    return next(iter(_read(store, [c for c in run_contexts(store) if c.name == name])), None)


def read_runs(output: Path, last: int | None = None) -> list[RunRecord]:
    """The runs of an output folder, oldest first.

    Args:
      output: the folder.
      last: so many of the newest; None for all.

    Returns:
      The runs; one without an end is `stopped`, though a process may be at it.

    Raises:
      NoRuns: there is no record.
    """
    store = open_store(output)
    contexts = sorted(run_contexts(store), key=_id)
    return _read(store, contexts[-last:]) if last else _read(store, contexts, nodes_of(store))


def nodes_of(store: mlmd.MetadataStore) -> dict[int, str]:
    """The component of every execution."""
    return {
        execution.id: _component(context)
        for context in _contexts(store, _NODE)
        for execution in store.get_executions_by_context(context.id)
    }


def executions_of(store: mlmd.MetadataStore, run: int) -> list[pb.Execution]:
    """The executions of a run, by its id."""
    return list(store.get_executions_by_context(run))


def spans_read_by(execution: pb.Execution) -> list[str]:
    """The spans that an execution of PairExampleGen read."""
    data = text_of(execution, "data")
    return list(json.loads(data).get("spans", [])) if data else []


def text_of(item: Any, name: str) -> str:
    """A custom property of an artifact, execution or context; '' if it has none.

    Looking one up in the protocol buffer itself would add it, without a value, and ML
    Metadata ends the process that stores such a thing.
    """
    properties = item.custom_properties
    return str(properties[name].string_value) if name in properties else ""


def number_of(item: Any, name: str) -> int:
    """The same of a number; 0 if there is none."""
    properties = item.custom_properties
    return int(properties[name].int_value) if name in properties else 0


def outputs_of(store: mlmd.MetadataStore, executions: Iterable[int]) -> Iterator[pb.Artifact]:
    """The artifacts that executions made, or took from the cache."""
    ids = list(executions)
    events = store.get_events_by_execution_ids(ids) if ids else []
    made = {event.artifact_id for event in events if event.type == pb.Event.OUTPUT}
    yield from store.get_artifacts_by_id(sorted(made)) if made else []


def _read(
    store: mlmd.MetadataStore, contexts: list[pb.Context], node_of: dict[int, str] | None = None
) -> list[RunRecord]:
    """Some runs: `node_of` of all runs is quicker for many, and asking each run for few."""
    runs = []
    for context in contexts:
        executions = sorted(executions_of(store, context.id), key=_id)
        named = {e.id: _node_of(store, e) for e in executions} if node_of is None else node_of
        runs.append(_run(store, context, executions, named))
    return runs


def _node_of(store: mlmd.MetadataStore, execution: pb.Execution) -> str:
    """The component of an execution."""
    contexts = store.get_contexts_by_execution(execution.id)
    return next((_component(each) for each in contexts if each.type == _NODE), "?")


def _component(node: pb.Context) -> str:
    return str(node.name.rpartition(".")[2])


def _run(
    store: mlmd.MetadataStore,
    context: pb.Context,
    executions: list[pb.Execution],
    node_of: dict[int, str],
) -> RunRecord:
    components, spans, pushed = {}, [], None
    for execution in executions:
        node = node_of.get(execution.id, "?")
        components[node] = STATES.get(execution.last_known_state, "failed")
        if node == "PairExampleGen":
            spans = spans_read_by(execution)
        if node == "Pusher":
            for artifact in outputs_of(store, [execution.id]):
                pushed = text_of(artifact, "pushed_destination") or pushed
    verdict: Verdict = "stopped"
    if kept := text_of(context, VERDICT):
        verdict = cast(Verdict, kept)
    elif "running" in components.values():
        pass  # of what comes after Pusher, too
    elif "failed" in components.values():
        verdict = "failed"
    elif components.get("Pusher") in ("done", "cached"):
        verdict = "pushed" if pushed else "not_blessed"
    return RunRecord(
        id=context.id,
        name=context.name,
        started=context.create_time_since_epoch / 1000,
        # Not of the context, where the end of a killed run is kept by the next.
        finished=max(e.last_update_time_since_epoch for e in executions or [context]) / 1000,
        verdict=verdict,
        reason=text_of(context, REASON),
        spans=spans,
        components=components,
        version=Path(pushed).name if pushed else None,
        pushed_to=pushed,
    )


def run_contexts(store: mlmd.MetadataStore) -> list[pb.Context]:
    """What TFX calls a run."""
    return _contexts(store, _RUN)


def _contexts(store: mlmd.MetadataStore, kind: str) -> list[pb.Context]:
    try:
        return list(store.get_contexts_by_type(kind))
    except mlmd.errors.NotFoundError:
        return []


def _id(item: Any) -> int:
    return int(item.id)
