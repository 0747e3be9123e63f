"""Runs as TFX records them, written by ML Metadata itself, with folders of their own."""

import json
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

SIZE = 50_000  # bytes of each artifact
OUTPUTS = {
    "PairExampleGen": "Examples",
    "Trainer": "Model",
    "Gate": "ModelBlessing",
    "Pusher": "PushedModel",
}
AFTER = "BatchPredictor"  # which comes after a push, and of which no run is recorded


class Recorded:
    """An output folder with runs of four components."""

    def __init__(self, output):
        self.output = Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(self.output / "metadata.sqlite")
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = mlmd.MetadataStore(config)
        put = self.store.put_context_type
        self._contexts = {k: put(pb.ContextType(name=k)) for k in ("pipeline_run", "node")}
        put = self.store.put_execution_type
        self._executions = {n: put(pb.ExecutionType(name=f"x.{n}")) for n in (*OUTPUTS, AFTER)}
        put = self.store.put_artifact_type
        self._artifacts = {k: put(pb.ArtifactType(name=k)) for k in OUTPUTS.values()}
        self._nodes = {name: self.context("node", f"job.{name}") for name in (*OUTPUTS, AFTER)}
        self.artifacts = {}  # (run, type) -> artifact

    def context(self, kind, name):
        context = pb.Context(type_id=self._contexts[kind], name=name)
        (context.id,) = self.store.put_contexts([context])
        return context

    def run(
        self,
        spans=(),
        *,
        failed=None,
        left=None,
        blessed=True,
        version=None,
        warm_start=None,
        settings=None,
    ):
        """A run to its end, or to the component that failed or is left as it runs; gives its id."""
        run = self.context("pipeline_run", f"run-{len(self.artifacts)}-{'-'.join(spans)}")
        settings = settings or {  # of a job: `disk.settings_of`
            "data": json.dumps({"input": "x", "spans": list(spans)}),
            "settings": json.dumps({"training": {"warm_start": warm_start}}),
        }
        properties = {
            "PairExampleGen": {"data": settings["data"]},
            "Trainer": {"custom_config": json.dumps({"settings": settings["settings"]})},
        }
        made = {}
        for node, kind in OUTPUTS.items():
            told = {}
            if kind == "ModelBlessing":
                told = {"blessed": int(blessed), "current_model_id": made["Model"].id}
            if kind == "PushedModel" and version:
                folder = self.output / "serving" / "seq2seq" / str(version)
                folder.mkdir(parents=True)
                (folder / "saved_model.pb").write_bytes(b"x" * SIZE)
                told = {"pushed": 1, "pushed_destination": str(folder)}
            ended = node not in (failed, left)
            state = pb.Execution.COMPLETE if ended else pb.Execution.FAILED
            state = pb.Execution.RUNNING if node == left else state
            artifact = self._execute(run, node, properties.get(node, {}), made, state, told)
            if not ended:
                break
            made[kind] = self.artifacts[run.id, kind] = artifact
        return run.id

    def goes_on(self, run, node, ended=False):
        """Another try of a component of a run, or one after its push."""
        (context,) = self.store.get_contexts_by_id([run])
        state = pb.Execution.COMPLETE if ended else pb.Execution.RUNNING
        self._execute(context, node, {}, {}, state, {}, "again")

    def _execute(self, run, node, properties, inputs, state, told, suffix=""):
        ended = state == pb.Execution.COMPLETE
        execution = pb.Execution(type_id=self._executions[node], last_known_state=state)
        for name, value in properties.items():
            execution.custom_properties[name].string_value = value
        used = [(artifact, pb.Event(type=pb.Event.INPUT)) for artifact in inputs.values()]
        if ended:
            kind = OUTPUTS[node]
            folder = self.output / "artifacts" / node / kind.lower() / f"{run.id}{suffix}"
            folder.mkdir(parents=True)
            (folder / "data").write_bytes(b"x" * SIZE)
            artifact = pb.Artifact(
                type_id=self._artifacts[kind], uri=str(folder), state=pb.Artifact.LIVE
            )
            for name, value in told.items():
                number = isinstance(value, int)
                setattr(
                    artifact.custom_properties[name],
                    "int_value" if number else "string_value",
                    value,
                )
            used.append((artifact, pb.Event(type=pb.Event.OUTPUT)))
        _, ids, _ = self.store.put_execution(execution, used, [run, self._nodes[node]])
        if ended:
            (made,) = self.store.get_artifacts_by_id(ids[-1:])
            return made

    def live(self):
        """Folders of the artifacts that a run may take from the cache."""
        found = self.store.get_artifacts()
        return [Path(a.uri) for a in found if a.state == pb.Artifact.LIVE]
