"""The promises of `seq2seq compile kubernetes`: fields that Kubernetes knows, workers that meet."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from seq2seq_tfx.pipeline import cli
from seq2seq_tfx.pipeline.kubernetes_training import FINAL, manifests
from seq2seq_tfx.pipeline.runner_config import KubernetesConfig

from ..jobs import write_job
from ..serving.test_production import unknown

OUTPUT = Path("runs/my_job")
SECTION = {"image": "example.org/seq2seq:1", "workers": 3, "claim": "shared"}
CLASSES = {"ConfigMap": "V1ConfigMap", "Service": "V1Service", "Job": "V1Job"}


def of(**changes):
    config = KubernetesConfig.model_validate({**SECTION, **changes})
    return {each["kind"]: each for each in manifests("my_job", OUTPUT, config, "name: my_job\n")}


def pod_of(found):
    return found["Job"]["spec"]["template"]["spec"]


def test_manifests_have_the_fields_that_kubernetes_knows():
    found = of(accelerator={"type": "nvidia.com/gpu", "count": 2})
    assert set(found) == set(CLASSES)
    for kind, document in found.items():
        assert unknown(document, CLASSES[kind], kind) == []
    limits = pod_of(found)["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "4000m", "memory": "8Gi", "nvidia.com/gpu": 2}


def test_each_worker_has_its_number_and_the_addresses_of_all():
    found = of(namespace="nights")
    job, service, pod = found["Job"]["spec"], found["Service"], pod_of(found)
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 3, 3)
    (container,) = pod["containers"]
    number, config = container["env"]
    # Kubernetes puts in what stands before it in the list.
    assert number["name"] == "WORKER" and "job-completion-index" in str(number["valueFrom"])
    for index in range(3):
        told = json.loads(config["value"].replace("$(WORKER)", str(index)))
        assert told["task"] == {"type": "worker", "index": index}
    # JOB-INDEX is the name of a pod, SUBDOMAIN that of the headless Service.
    name = found["Job"]["metadata"]["name"]
    assert told["cluster"]["worker"] == [
        f"{name}-{i}.{pod['subdomain']}.nights.svc:2222" for i in range(3)
    ]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    labels = found["Job"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize(("number", "command"), [("0", "run"), ("2", "train-worker")])
def test_the_first_worker_runs_the_pipeline_and_the_others_train_along(tmp_path, number, command):
    program = tmp_path / "seq2seq"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    (container,) = pod_of(of())["containers"]
    done = subprocess.run(
        [*container["command"], *container["args"]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "WORKER": number},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{command} --config /config/job.yaml --output {OUTPUT}\n"


def test_what_no_repetition_mends_ends_the_job():
    job = of()["Job"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob" and rule["onExitCodes"]["values"] == FINAL == [2, 3, 5, 6]
    # Without which Kubernetes takes no such policy.
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_as_many_faults_are_borne_as_there_are_retries_each_of_all_workers():
    job = of(retries=2, workers=4)["Job"]["spec"]
    assert job["backoffLimit"] == 2 * 4
    assert of(retries=0)["Job"]["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize("job", ["g2p_", "g" * 55])
def test_a_name_that_kubernetes_refuses_is_told(job):
    with pytest.raises(ValueError, match="letter or digit last"):
        manifests(job, OUTPUT, KubernetesConfig.model_validate(SECTION), "")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        # Two volumes at one place, and an accelerator by the name that Vertex AI gives it.
        ({"folder": "/config/"}, "folder: expected one other than / and /config"),
        ({"folder": "//"}, "folder: expected one other than / and /config"),
        ({"accelerator": {"type": "NVIDIA_TESLA_T4"}}, "accelerator.type: expected a resource"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        of(**changes)


@pytest.mark.parametrize(
    ("output", "code"), [("/job/out", 0), ("out", 0), ("/srv/out", 2), ("../out", 2)]
)
def test_an_output_that_workers_do_not_share_is_refused(tmp_path, output, code):
    job = write_job(tmp_path, "my_job")
    runner = {"output": output, "kubernetes": SECTION}
    job.write_text(f"{job.read_text()}runner: {json.dumps(runner)}\n")
    arguments = ["compile", "kubernetes", "--config", str(job), "--output", str(tmp_path / "y")]
    done = CliRunner().invoke(cli.main, arguments)
    assert done.exit_code == code, done.output
    assert ("runner.output: expected a folder below /job" in done.output) == (code == 2)


def test_the_command_writes_the_configuration_with_them(tmp_path):
    """The pairs lie in the cluster, and not here."""
    job = write_job(tmp_path, "my_job")
    output = tmp_path / "workers.yaml"
    arguments = ["compile", "kubernetes", "--config", str(job), "--output", str(output)]
    refused = CliRunner().invoke(cli.main, arguments)
    assert refused.exit_code == 2 and "runner.kubernetes: required section" in refused.output
    with job.open("a") as file:
        file.write(f"runner: {{kubernetes: {json.dumps(SECTION)}}}\n")
    done = CliRunner().invoke(cli.main, arguments)
    assert done.exit_code == 0, done.output
    config, _, _ = YAML(typ="safe").load_all(output.read_text())
    assert config["data"]["job.yaml"] == job.read_text()
    with job.open("a") as file:
        file.write("unattended: {catch_up: true}\n")
    refused = CliRunner().invoke(cli.main, arguments)
    assert refused.exit_code == 2 and "unattended.catch_up: a worker follows" in refused.output


@pytest.mark.parametrize("distribution", ["cpu", "one_gpu", "mirrored", "multi_worker"])
def test_workers_that_would_not_train_together_are_refused(tmp_path, distribution):
    job = write_job(tmp_path, "my_job")
    key = f"training:\n  distribution: {distribution}\n"
    text = job.read_text().replace("training:\n", key)
    job.write_text(f"{text}runner: {{kubernetes: {json.dumps(SECTION)}}}\n")
    output = tmp_path / "workers.yaml"
    arguments = ["compile", "kubernetes", "--config", str(job), "--output", str(output)]
    done = CliRunner().invoke(cli.main, arguments)
    fits = distribution == "multi_worker"
    assert (done.exit_code, output.exists()) == ((0, True) if fits else (2, False)), done.output
    needs = "training.distribution: expected multi_worker or auto"
    assert fits or (needs in done.output and f"received {distribution}," in done.output)
