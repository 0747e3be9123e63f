"""The promises of `seq2seq compile kubeflow`: the one DAG, in KFP's format, and tasks that run."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from pydantic import ValidationError
from tfx.utils import import_utils

from seq2seq_tfx.components.spans import Span
from seq2seq_tfx.components.trainer import TrainingConfig
from seq2seq_tfx.pipeline import kubeflow
from seq2seq_tfx.pipeline.config import ConfigurationError, load_config
from seq2seq_tfx.pipeline.graph import create_pipeline
from seq2seq_tfx.pipeline.runner_config import KubeflowConfig, RunnerConfig

from ..jobs import words
from .kubeflow_backend import Backend

JOB = """
name: my_job
data:
  input: {input}
  window: 2
  splits: {{train: 80, validation: 10, test: 10}}
tokenizer:
  source: {{kind: character}}
  target: {{kind: character}}
model: {{size: {{embedding: 8, units: 16}}}}
search: {{beam_size: 1, max_length: 8}}
infra_validation: {{requests: 4}}
training: {{epochs: 1, batch_size: 64, warm_start: {warm_start}}}
evaluation: {{metrics: [sequence_error_rate]}}
gate:
  max_loss: {{sequence_error_rate: 0.1}}
  thresholds:
    sequence_error_rate: {{max: 1}}
    empty_rate: {{max: 1}}
    repetition_rate: {{max: 1}}
data_validation: {{max_drift: {{vocabulary: {drift}}}}}
export: {{forms: {forms}}}
prediction: {prediction}
runner:
  kubeflow:
    image: example.org/seq2seq:1
    pipeline_root: gs://bucket/jobs/
    memory: 4Gi
    retries: 1
    components:
      Trainer:
        cpu: 8
        accelerator: {{type: NVIDIA_TESLA_T4, count: 2}}
        retries: 3
"""


def write(folder, **changes):
    values = {
        "input": "gs://bucket/p-{SPAN}.tsv",
        "warm_start": "null",
        "drift": "null",
        "prediction": "null",
        "forms": "[]",
    }
    path = folder / "job.yaml"
    path.write_text(JOB.format(**{**values, "forms": "[]", **changes}))
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The job's configuration, and its PipelineSpec as KFP's own proto reads it."""
    folder = tmp_path_factory.mktemp("compiled")
    path = write(folder)
    config = load_config(path)
    kubeflow.compile_file(path, config, folder / "spec.yaml")
    kubeflow.compile_file(path, config, folder / "job.json")
    job = json_format.Parse((folder / "job.json").read_text(), pipeline_spec_pb2.PipelineJob())
    spec = yaml.safe_load((folder / "spec.yaml").read_text())
    assert json_format.MessageToDict(job.pipeline_spec) == spec
    assert job.runtime_config.gcs_output_directory == "gs://bucket/jobs/artifacts"
    return config, json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec()), folder


def container(spec, task):
    label = spec.components[spec.root.dag.tasks[task].component_ref.name].executor_label
    executors = spec.deployment_spec["executors"]
    kind = pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec
    return json_format.ParseDict(json_format.MessageToDict(executors)[label], kind()).container


def test_its_tasks_are_those_of_the_pipeline_and_wait_for_the_same(compiled, tmp_path):
    config, spec, _ = compiled
    wanted = {
        node.id: {upstream.id for upstream in node.upstream_nodes}
        for node in create_pipeline(config, tmp_path).components
    }
    # There it is the newest pushed version, whatever the candidate.
    assert wanted["Baseline"] == {"Trainer"}
    wanted["Baseline"] = set()
    assert {name: set(task.dependent_tasks) for name, task in spec.root.dag.tasks.items()} == wanted
    assert spec.pipeline_info.name == "my-job"


def test_each_task_starts_code_of_ours_that_can_be_imported(compiled):
    _, spec, _ = compiled
    for name in spec.root.dag.tasks:
        found = container(spec, name)
        assert found.image == "example.org/seq2seq:1"
        assert list(found.command[:2]) == ["python", "-m"] and find_spec(found.command[2])
        arguments = list(found.args)
        path = arguments[arguments.index("--executor_class_path") + 1]
        assert callable(import_utils.import_class_by_path(path).Do)


def test_resources_retries_and_caching_stand_at_the_tasks(compiled):
    _, spec, _ = compiled
    trainer, gate = (container(spec, name).resources for name in ("Trainer", "Gate"))
    assert (trainer.cpu_limit, trainer.memory_limit) == (8, 4 * 2**30 / 1e9)
    assert (trainer.accelerator.type, trainer.accelerator.count) == ("NVIDIA_TESLA_T4", 2)
    assert (gate.cpu_limit, gate.memory_limit, gate.accelerator.count) == (0, 4 * 2**30 / 1e9, 0)
    tasks = spec.root.dag.tasks
    assert {task.retry_policy.max_retry_count for n, task in tasks.items() if n != "Trainer"} == {1}
    assert tasks["Trainer"].retry_policy.max_retry_count == 3
    assert tasks["Trainer"].retry_policy.backoff_duration.seconds == 60
    uncached = {name for name, task in tasks.items() if not task.caching_options.enable_cache}
    assert uncached == {"PairExampleGen", "Baseline"}


def test_nothing_of_this_machine_is_in_it(compiled):
    _, _, folder = compiled
    for file in ("spec.yaml", "job.json"):
        text = (folder / file).read_text()
        for path in (folder, Path.cwd(), Path(kubeflow.__file__).parents[1], Path.home()):
            assert str(path) not in text


def test_what_only_this_machine_can_do_is_told_with_its_line(tmp_path):
    (tmp_path / "p.tsv").write_text("a\tb\n")
    asked = f"{{input: {tmp_path / 'p.tsv'}}}"
    path = write(tmp_path, input=tmp_path / "p.tsv", drift=0.5, forms="[int8]", prediction=asked)
    with pytest.raises(ConfigurationError) as caught:
        kubeflow.compile_file(path, load_config(path), tmp_path / "spec.yaml")
    pairs, drift, prediction, forms = caught.value.problems
    assert pairs.startswith(f"{path}:4: data.input: expected a URI such as gs://bucket/path")
    assert drift.startswith(f"{path}:21: data_validation.max_drift: the report of the span before")
    assert prediction.startswith(f"{path}:23: prediction: what is answered so far is kept")
    assert forms.startswith(f"{path}:22: export.forms: other forms are written to this machine")
    path = write(tmp_path, warm_start="last_blessed")
    config = load_config(path)
    with pytest.raises(ConfigurationError, match=r":13: training.warm_start: last_blessed"):
        kubeflow.compile_file(path, config, tmp_path / "spec.yaml")
    elsewhere = {"runner": "portable", "job_endpoint": "localhost:1", "environment": "LOOPBACK"}
    runner = config.runner.model_dump() | {"beam": elsewhere}
    away = config.model_copy(
        update={"runner": RunnerConfig.model_validate(runner), "training": TrainingConfig()}
    )
    with pytest.raises(ConfigurationError, match=r"runner.beam: expected in_memory or"):
        kubeflow.compile_file(path, away, tmp_path / "spec.yaml")
    config = config.model_copy(update={"runner": RunnerConfig()})
    with pytest.raises(ConfigurationError, match=r"runner.kubeflow: required section is missing"):
        kubeflow.compile_file(path, config, tmp_path / "spec.yaml")
    assert not (tmp_path / "spec.yaml").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pipeline_root": "/srv/output"}, "pipeline_root"),
        ({"components": {"Trainr": {}}}, "Trainr"),
        ({"components": {"Trainer": {"memory": "16"}}}, "memory"),
        ({"components": {"Trainer": {"accelerator": {"count": 1}}}}, "type"),
        ({"retries": -1}, "retries"),
        ({"image": ""}, "image"),
    ],
)
def test_a_section_that_says_nothing_useful_is_refused(changes, message):
    section = {"image": "example.org/a:1", "pipeline_root": "gs://bucket", **changes}
    with pytest.raises(ValidationError, match=message):
        RunnerConfig.model_validate({"kubeflow": section})


@pytest.mark.slow
@pytest.mark.modern
def test_what_is_compiled_trains_judges_and_pushes_task_by_task(tmp_path):
    for span in (1, 2, 3):
        pairs = "".join(f"{word}\t{word[::-1]}\n" for word in words(span, 150))
        (tmp_path / f"p-{span}.tsv").write_text(pairs)
    config = load_config(write(tmp_path, input=f"{tmp_path}/p-{{SPAN}}.tsv"))
    assert config.runner.kubeflow
    # Pusher writes where it is told to, and no bucket is at hand.
    settings = KubeflowConfig.model_construct(
        **{**dict(config.runner.kubeflow), "pipeline_root": str(tmp_path / "root")}
    )
    spec = kubeflow.pipeline_job(config, settings)["pipelineSpec"]
    backend = Backend(spec, tmp_path / "bucket")
    backend.run()
    # The default is the window that ends with the newest.
    counts = json.loads((backend.path("PairExampleGen", "rejected") / "counts.json").read_text())
    assert counts["read"] == sum(len(words(span, 150)) for span in (2, 3))
    assert backend.made["PairExampleGen", "examples"]["metadata"]["custom:span"] == 3
    versions = list((tmp_path / "root/serving/seq2seq").iterdir())
    assert [(version / "saved_model.pb").is_file() for version in versions] == [True]
    verdict = json.loads((backend.path("Gate", "verdict") / "verdict.json").read_text())
    assert verdict["blessed"] and verdict["baseline"] is None

    # The next run compares with what was pushed: the same model, so the same figures.
    backend.run("Baseline", "Evaluator", "Gate")
    verdict = json.loads((backend.path("Gate", "verdict") / "verdict.json").read_text())
    assert verdict["baseline"] == verdict["candidate"]


def test_a_run_may_ask_for_its_spans(tmp_path):
    from seq2seq_tfx.components.data_config import DataConfig, chosen_spans
    from seq2seq_tfx.components.errors import PipelineError

    for span in (1, 2, 3):
        (tmp_path / f"p-{span}.tsv").write_text("a\tb\n")
    config = DataConfig.model_validate({"input": f"{tmp_path}/p-{{SPAN}}.tsv", "window": 2})
    assert chosen_spans(config, "newest") == [Span(2), Span(3)]
    assert chosen_spans(config, "1, 3") == [Span(1), Span(3)]
    with pytest.raises(PipelineError, match="spans: 'newest', or expected a span such as 7"):
        chosen_spans(config, "yesterday")
    assert chosen_spans(config, "3, 1,3") == [Span(1), Span(3)]
    for pattern, wanted in (
        ("{SPAN}", "2026-01-31"), ("{YYYY}-{MM}-{DD}", "7"), ("{SPAN}v{VERSION}", "7"),
    ):  # fmt: skip
        config = DataConfig.model_validate({"input": pattern})
        told = f"expected one for '{pattern}', received '{wanted}'"
        with pytest.raises(PipelineError, match=told):
            chosen_spans(config, wanted)
