"""Reads the runs of an output folder from ML Metadata, and nothing of TFX."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb2

from ..report.dashboard.records import Artifact, Execution, Run, Store
from ..report.dashboard.sentences import CannotRead
from .run_records import REASON, STATES, UNDER_WAY, VERDICT, NoRuns, open_store, text_of


def read_store(folder: Path, name: str, is_busy: bool) -> Store:
    """Reads all runs, without a lock and without writing.

    Args:
      folder: the output folder.
      name: by which addresses call it.
      is_busy: whether a run is using it now.

    Raises:
      CannotRead: it is damaged, or gone.
    """
    try:
        store = open_store(folder)
    except NoRuns as error:
        raise CannotRead(str(error)) from error
    executions = _executions(store)
    runs = []
    contexts = store.get_contexts_by_type("pipeline_run")
    newest = max((context.id for context in contexts), default=0)
    for context in contexts:
        own = [executions[e.id] for e in store.get_executions_by_context(context.id)]
        if own:
            own.sort(key=lambda pair: pair[1].id)
            # Of a component that was tried again the last counts, and what is kept of the
            # end of a run only until it goes on.
            parts = list({one.component: one for _, one in own}.values())
            verdict, reason = (text_of(context, key) for key in (VERDICT, REASON))
            ended = context.last_update_time_since_epoch / 1000
            if verdict != UNDER_WAY and ended < max(one.started for one in parts):
                verdict, reason = "", ""
            if verdict not in ("", UNDER_WAY) or context.id < newest or not is_busy:
                # Whoever ran it is gone, and could not tell of each component.
                end = "failed" if verdict == "failed" else "stopped"
                parts = [p._replace(state=end) if p.state == "running" else p for p in parts]
                states = {one.component: one.state for one in parts}
                if states.get("Pusher") not in ("done", "cached") or end in states.values():
                    verdict = verdict or "stopped"
            pipeline, first = own[0]
            runs.append(Run(context.id, pipeline, first.started, parts, verdict, reason))
    types = {kind.id: kind.name for kind in store.get_artifact_types()}
    artifacts = {
        found.id: Artifact(found.id, types.get(found.type_id, ""), found.uri, _properties(found))
        for found in store.get_artifacts()
    }
    return Store(name, folder, sorted(runs, key=lambda run: -run.id), artifacts)


def _executions(store: mlmd.MetadataStore) -> dict[int, tuple[str, Execution]]:
    """All executions by id, each with its pipeline's name."""
    nodes: dict[int, str] = {}
    for context in store.get_contexts_by_type("node"):
        nodes |= {e.id: context.name for e in store.get_executions_by_context(context.id)}
    found = store.get_executions()
    sides: dict[bool, dict[int, dict[str, list[int]]]] = {
        side: defaultdict(lambda: defaultdict(list)) for side in (True, False)
    }
    for event in store.get_events_by_execution_ids([e.id for e in found]) if found else []:
        if event.type in (pb2.Event.INPUT, pb2.Event.OUTPUT):
            key = next((step.key for step in event.path.steps if step.key), "")
            side = sides[event.type == pb2.Event.OUTPUT]
            side[event.execution_id][key].append(event.artifact_id)
    told = {}
    for one in found:
        pipeline, _, component = nodes.get(one.id, "").rpartition(".")
        started = one.create_time_since_epoch / 1000
        told[one.id] = (
            pipeline,
            Execution(
                one.id,
                component,
                STATES.get(one.last_known_state, "failed"),
                started,
                one.last_update_time_since_epoch / 1000 - started,
                _properties(one),
                dict(sides[False][one.id]),
                dict(sides[True][one.id]),
            ),
        )
    return told


def _properties(found: pb2.Execution | pb2.Artifact) -> dict[str, Any]:
    """Properties of both kinds, by name."""
    return {
        key: getattr(value, value.WhichOneof("value"))
        for side in (found.properties, found.custom_properties)
        for key, value in side.items()
        if value.WhichOneof("value") in ("int_value", "double_value", "string_value")
    }
