"""What Kubeflow Pipelines does with a specification, as far as its tasks can tell.

It fills in ExecutorInput as the format's own proto has it, lays a bucket below a folder,
calls what the task's container would call, and hands on what the task says it made.
"""

import json
import uuid
from pathlib import Path

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from seq2seq_tfx.pipeline.kubeflow import tasks_of
from seq2seq_tfx.pipeline.kubeflow_task import run_task


class Backend:
    def __init__(self, spec, folder, **parameters):
        self.spec = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        self.order = list(tasks_of(spec))
        self.folder = folder
        self.parameters = {
            name: given.default_value.string_value
            for name, given in self.spec.root.input_definitions.parameters.items()
        } | parameters
        self.made = {}  # (task, output): RuntimeArtifact as JSON

    def run(self, *tasks):
        for name in tasks or self.order:
            self._task(name)

    def path(self, task, output):
        """Where the files of an output are."""
        return Path(self.made[task, output]["uri"].replace("gs://", f"{self.folder}/"))

    def _task(self, name):
        task = self.spec.root.dag.tasks[name]
        component = self.spec.components[task.component_ref.name]
        outputs = {
            key: {
                "name": f"artifacts/{uuid.uuid4()}",
                "uri": f"gs://bucket/jobs/{name}_{uuid.uuid4().hex[:6]}/{key}",
                "type": json_format.MessageToDict(output.artifact_type),
            }
            for key, output in component.output_definitions.artifacts.items()
        }
        for output in outputs.values():
            Path(output["uri"].replace("gs://", f"{self.folder}/")).parent.mkdir(parents=True)
        report = self.folder / f"{uuid.uuid4()}.json"
        invocation = {
            "inputs": {
                "parameterValues": {
                    key: self.parameters[given.component_input_parameter]
                    if given.component_input_parameter
                    else json_format.MessageToDict(given.runtime_value.constant)
                    for key, given in task.inputs.parameters.items()
                },
                "artifacts": {
                    key: {"artifacts": [self._made_by(given.task_output_artifact)]}
                    for key, given in task.inputs.artifacts.items()
                },
            },
            "outputs": {
                "artifacts": {key: {"artifacts": [output]} for key, output in outputs.items()},
                "outputFile": str(report),
            },
        }
        json_format.ParseDict(invocation, pipeline_spec_pb2.ExecutorInput())
        executors = self.spec.deployment_spec["executors"]
        container = executors[component.executor_label]["container"]
        arguments = [json.dumps(invocation) if a == "{{$}}" else a for a in container["args"]]
        run_task(arguments, {"gs://": f"{self.folder}/"})
        told = json.loads(report.read_text())
        json_format.ParseDict(told, pipeline_spec_pb2.ExecutorOutput())
        for key, output in outputs.items():
            (artifact,) = told["artifacts"][key]["artifacts"]
            assert artifact["uri"] == output["uri"]
            self.made[name, key] = {**output, "metadata": artifact.get("metadata", {})}

    def _made_by(self, source):
        return self.made[source.producer_task, source.output_artifact_key]
