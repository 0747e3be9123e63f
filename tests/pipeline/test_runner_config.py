"""The promises of `runner.beam`: options that Beam knows, and refusals that say what is wanted."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import create_runner
from pydantic import ValidationError
from tfx.utils import dependency_utils

from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS
from seq2seq_tfx.pipeline.config_file import explain
from seq2seq_tfx.pipeline.runner_config import RunnerConfig

IMAGE = {"environment_config": "example.org/seq2seq:1"}
JAR = {"job_server_jar": "/opt/beam/job-server.jar"}
BEAMS = {
    "in_memory": {},
    "multi_processing": {"workers": 2},
    "portable": {
        "job_endpoint": "localhost:8099",
        "environment": "EXTERNAL",
        "environment_config": "localhost:50000",
        "workers": 2,
    },
    "flink": {"master": "flink:8081", "parallelism": 4, **JAR, **IMAGE},
    "spark": {"master": "spark://spark:7077", **JAR, **IMAGE},
    "dataflow": {
        "project": "my-project",
        "region": "europe-west4",
        "temp_location": "gs://bucket/tmp",
        "container_image": "example.org/seq2seq:1",
        "machine_type": "n2-standard-4",
        "max_workers": 8,
        "public_ips": False,
    },
}


@pytest.mark.parametrize("folder", ["", " ", "gs://bucket/output"])
def test_an_output_that_is_no_folder_of_this_machine_is_refused(folder):
    with pytest.raises(ValidationError, match="expected a folder of this machine, received"):
        RunnerConfig(output=folder)


def beam(runner, **changes):
    settings = {"runner": runner, **BEAMS[runner], **changes}
    return RunnerConfig.model_validate({"beam": settings}).beam


@pytest.mark.parametrize("runner", BEAMS)
def test_beam_knows_every_option_and_finds_nothing_wrong(runner):
    arguments = beam(runner).arguments()
    known = PipelineOptions(arguments).get_all_options(drop_default=True)
    names = {argument.lstrip("-").partition("=")[0] for argument in arguments}
    assert {name.removeprefix("no_") for name in names} == set(known) | (
        {"direct_running_mode"} & names
    )
    if runner != "dataflow":  # for which Beam would ask Google's services
        options = PipelineOptions(arguments)
        name = arguments[0].removeprefix("--runner=")
        assert PipelineOptionsValidator(options, create_runner(name)).validate() == []


def test_one_process_is_the_default():
    assert RunnerConfig().beam.arguments() == list(BEAM_ARGS)


@pytest.mark.parametrize(
    ("runner", "changes", "message"),
    [
        ("multi_processing", {"workers": 0}, "greater than or equal to 1"),
        ("portable", {"job_endpoint": "http://localhost"}, "job_endpoint"),
        ("portable", {"environment_config": None}, "EXTERNAL needs HOST:PORT of a worker pool"),
        ("flink", {"environment_config": None}, "DOCKER needs the image that workers run"),
        ("flink", {"environment": "LOOPBACK"}, "LOOPBACK takes none"),
        ("spark", {"master": "spark"}, "master"),
        ("dataflow", {"temp_location": "/tmp/dataflow"}, "temp_location"),
        ("in_memory", {"workers": 2}, "workers"),
    ],
)
def test_what_a_runner_cannot_use_is_refused(runner, changes, message):
    with pytest.raises(ValidationError) as caught:
        beam(runner, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "where", "told"),
    [
        (
            {"runner": "portable", "job_endpoint": "jobs:1", "parallelism": 2},
            "beam.portable.parallelism",
            "unknown key; expected one of: environment, environment_config, job_endpoint, "
            "runner, workers",
        ),
        (
            {"runner": "portable", "job_endpoint": "jobs:1", "environment": "EXTERNAL"},
            "beam.portable.environment_config",
            "environment EXTERNAL needs HOST:PORT of a worker pool, received none",
        ),
        ({"runner": "flinc"}, "beam.runner", "received 'flinc'"),
    ],
)
def test_a_mistake_is_told_of_its_key_and_of_that_runner(settings, where, told):
    with pytest.raises(ValidationError) as caught:
        RunnerConfig.model_validate({"beam": settings})
    (problem,) = caught.value.errors()
    ((place, message),) = explain(problem, RunnerConfig)
    assert ".".join(place) == where
    assert told in message


@pytest.mark.slow
def test_options_are_given_where_a_component_runs_and_for_that_long():
    from tfx.orchestration.portable import launcher
    from tfx.proto.orchestration import executable_spec_pb2

    from seq2seq_tfx.pipeline.beam_operator import beam_arguments

    kind = executable_spec_pb2.BeamExecutableSpec
    spec = kind()
    spec.python_executor_spec.class_path = "seq2seq_tfx.components.pair_example_gen.Executor"
    usual = launcher.DEFAULT_EXECUTOR_OPERATORS[kind]
    with beam_arguments(["--runner=PortableRunner"]):
        operator = launcher.DEFAULT_EXECUTOR_OPERATORS[kind](spec)
        given = [argument.value.string_value for argument in operator.beam_pipeline_args]
        assert given == ["--runner=PortableRunner"]
    assert launcher.DEFAULT_EXECUTOR_OPERATORS[kind] is usual


@pytest.mark.parametrize("runner", BEAMS)
def test_tfx_packs_itself_for_no_runner(runner, monkeypatch):
    monkeypatch.setattr(dependency_utils, "build_ephemeral_package", lambda: "packed")
    arguments = beam(runner).arguments()
    assert dependency_utils.make_beam_dependency_flags(arguments) == arguments
