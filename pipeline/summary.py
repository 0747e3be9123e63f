"""What a run did, read back from ML Metadata and the artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as mlmd_pb2
from tfx.orchestration import metadata

from ..components.gate import VERDICT
from ..components.infra_validator import REPORT
from ..components.pair_example_gen import COUNTS
from .binding import metadata_path
from .run_records import STATES


class NodeRun(NamedTuple):
    """One component in one run."""

    node: str
    state: str  # 'done', 'cached' or 'failed'
    seconds: float


class RunSummary(NamedTuple):
    """All that a person wants to know of a run."""

    nodes: list[NodeRun]
    counts: dict[str, Any]  # of ingestion
    verdict: dict[str, Any]  # of the gate
    infra: dict[str, Any]  # of infra validation
    pushed_to: str | None
    sentences: Path  # of Evaluator
    model_run: Path  # of Trainer
    predictions: Path | None = None  # of BatchPredictor, where there is one

    @property
    def released(self) -> bool:
        """Whether the model was blessed and pushed."""
        return self.pushed_to is not None


def summarize(output: Path, name: str | None = None) -> RunSummary:
    """Reads a run of an output folder.

    Args:
      output: the folder.
      name: of the run; None for the newest.
    """
    store = _store(output)
    runs = store.get_contexts_by_type("pipeline_run")
    run = max((r for r in runs if name in (None, r.name)), key=lambda context: context.id)
    nodes, artifacts = [], {}
    for execution in sorted(store.get_executions_by_context(run.id), key=lambda e: e.id):
        node = _node_of(store, execution)
        took = execution.last_update_time_since_epoch - execution.create_time_since_epoch
        state = STATES.get(execution.last_known_state, "failed")
        nodes.append(NodeRun(node, state, took / 1000))
        artifacts.update(_outputs(store, node, execution))

    pushed = artifacts["Pusher", "pushed_model"].custom_properties
    predictions = artifacts.get(("BatchPredictor", "predictions"))
    return RunSummary(
        nodes=nodes,
        counts=_read(artifacts["PairExampleGen", "rejected"], COUNTS),
        verdict=_read(artifacts["Gate", "verdict"], VERDICT),
        infra=_read(artifacts["InfraValidator", "blessing"], REPORT),
        pushed_to=pushed["pushed_destination"].string_value if pushed["pushed"].int_value else None,
        sentences=Path(artifacts["Evaluator", "sentences"].uri),
        model_run=Path(artifacts["Trainer", "model_run"].uri),
        predictions=Path(predictions.uri) if predictions else None,
    )


def _store(output: Path) -> mlmd.MetadataStore:
    path = str(metadata_path(output))
    return mlmd.MetadataStore(metadata.sqlite_metadata_connection_config(path))


def _node_of(store: mlmd.MetadataStore, execution: mlmd_pb2.Execution) -> str:
    contexts = store.get_contexts_by_execution(execution.id)
    name = next(context.name for context in contexts if context.type == "node")
    return name.rpartition(".")[2]


def _outputs(
    store: mlmd.MetadataStore, node: str, execution: mlmd_pb2.Execution
) -> dict[tuple[str, str], mlmd_pb2.Artifact]:
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == mlmd_pb2.Event.OUTPUT
    ]
    found = store.get_artifacts_by_id([event.artifact_id for event in events])
    by_id = {artifact.id: artifact for artifact in found}
    return {(node, event.path.steps[0].key): by_id[event.artifact_id] for event in events}


def _read(artifact: mlmd_pb2.Artifact, name: str) -> dict[str, Any]:
    return json.loads((Path(artifact.uri) / name).read_text())
