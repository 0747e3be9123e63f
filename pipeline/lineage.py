"""From a pushed version back to the runs and spans that it was learned from."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from .run_records import nodes_of, number_of, open_store, spans_read_by, text_of


class Trained(NamedTuple):
    """A model, and what it was trained on."""

    model: str  # its artifact's folder
    run: str  # name of the run that trained it
    spans: list[str]
    version: str | None  # under which it was pushed


class UnknownVersion(Exception):
    """No run pushed such a version."""


def lineage(output: Path, version: str) -> list[Trained]:
    """The model of a version, the one it began with, and so on: newest first.

    Args:
      output: the folder of the runs.
      version: as Pusher named it.

    Raises:
      NoRuns: the folder has no record.
      UnknownVersion: no run pushed it.
    """
    graph = Graph(open_store(output))
    if version not in graph.pushed:
        raise UnknownVersion(
            f"expected a version that a run in {output} pushed, received {version}; "
            f"there are {', '.join(sorted(graph.pushed)) or 'none'}"
        )
    chain: list[Trained] = []
    model: int | None = graph.pushed[version]
    while model is not None and len(chain) <= len(graph.artifacts):
        chain.append(graph.trained(model))
        model = graph.began_with(model)
    chain[0] = chain[0]._replace(version=version)  # of several that its model has
    return chain


def last_blessed(output: Path, before: int) -> tuple[str, int] | None:
    """The newest blessed model that was trained on earlier spans alone.

    A run that is repeated must begin where it began: what it made itself is no start.

    Args:
      output: the folder of the runs.
      before: the number of the newest span that is to be trained on.

    Returns:
      Folder and artifact id; None where there is none.

    Raises:
      NoRuns: the folder has no record.
    """
    from ..components.spans import Span

    graph = Graph(open_store(output))
    for model in reversed(graph.blessed()):
        spans = graph.trained(model).spans
        folder = graph.artifacts[model].uri
        if spans and Span.parse(spans[-1]).number < before and Path(folder).is_dir():
            return folder, model
    return None


class Graph:
    """Artifacts, executions, and who made what of what.

    Args:
      store: of an output folder.
    """

    def __init__(self, store: mlmd.MetadataStore):
        self._store = store
        self._nodes = nodes_of(store)
        self.artifacts = {artifact.id: artifact for artifact in store.get_artifacts()}
        self._executions = {execution.id: execution for execution in store.get_executions()}
        self._made_by: dict[int, int] = {}  # artifact -> its first execution
        self._inputs: dict[int, list[int]] = {}
        self._touched: dict[int, set[int]] = {}
        ids = sorted(self._executions)
        for event in store.get_events_by_execution_ids(ids) if ids else []:
            self._touched.setdefault(event.execution_id, set()).add(event.artifact_id)
            if event.type == pb.Event.OUTPUT:
                first = self._made_by.get(event.artifact_id, event.execution_id)
                self._made_by[event.artifact_id] = min(first, event.execution_id)
            elif event.type == pb.Event.INPUT:
                self._inputs.setdefault(event.execution_id, []).append(event.artifact_id)
        self.pushed_to = self._pushed()  # folder of a version -> model
        self.versions = {model: Path(to).name for to, model in self.pushed_to.items()}
        # A model that was pushed twice has two.
        self.pushed = {Path(to).name: model for to, model in self.pushed_to.items()}

    def _pushed(self) -> dict[str, int]:
        found = {}
        for artifact in self.artifacts.values():
            to = text_of(artifact, "pushed_destination")
            if artifact.type == "PushedModel" and to:
                for source in self._inputs.get(self._made_by[artifact.id], []):
                    if self.artifacts[source].type == "Model":
                        found[to] = source
        return found

    def touched(self, execution: int) -> set[int]:
        """The artifacts that an execution read, made, or took from the cache."""
        return self._touched.get(execution, set())

    def copies(self, model: int) -> list[int]:
        """The artifacts of Pusher that hold a model."""
        return [
            artifact.id
            for artifact in self.artifacts.values()
            if artifact.type == "PushedModel" and model in self._inputs[self._made_by[artifact.id]]
        ]

    def blessed(self) -> list[int]:
        """Models that the gate blessed when it last judged them, oldest first."""
        judged = {}
        for blessing in sorted(self.blessings(self.artifacts)):
            artifact = self.artifacts[blessing]
            judged[number_of(artifact, "current_model_id")] = number_of(artifact, "blessed") == 1
        return sorted(model for model, is_blessed in judged.items() if is_blessed)

    def blessings(self, models: Container[int]) -> list[int]:
        """What the gate said of models."""
        return [
            artifact.id
            for artifact in self.artifacts.values()
            if artifact.type == "ModelBlessing"
            and number_of(artifact, "current_model_id") in models
        ]

    def trained(self, model: int) -> Trained:
        trainer = self._made_by[model]
        runs = self._store.get_contexts_by_execution(trainer)
        return Trained(
            model=self.artifacts[model].uri,
            run=next((c.name for c in runs if c.type == "pipeline_run"), "?"),
            spans=self._spans_behind(trainer),
            version=self.versions.get(model),
        )

    def _spans_behind(self, execution: int) -> list[str]:
        waiting, seen = [execution], {execution}
        while waiting:
            found = waiting.pop()
            if self._nodes.get(found) == "PairExampleGen":
                return spans_read_by(self._executions[found])
            for artifact in self._inputs.get(found, []):
                maker = self._made_by.get(artifact)
                if maker is not None and maker not in seen:
                    seen.add(maker)
                    waiting.append(maker)
        return []

    def began_with(self, model: int) -> int | None:
        """The model of a warm start."""
        trainer = self._executions[self._made_by[model]]
        settings: dict[str, Any] = json.loads(text_of(trainer, "custom_config") or "{}")
        training = json.loads(settings.get("settings", "{}")).get("training", {})
        start = training.get("warm_start")
        if not start:
            return None
        for artifact in self.artifacts.values():
            if artifact.type == "Model" and Path(start).is_relative_to(artifact.uri):
                return int(artifact.id)
        # A pushed version is a copy of its model.
        return self.pushed.get(Path(start).name)
