"""What Kubernetes, a gateway or an older image would not do is said when files are made."""

import pytest
from click.testing import CliRunner
from tensorflow.core.protobuf import saved_model_pb2

from seq2seq_tfx.pipeline import cli
from seq2seq_tfx.serving.deployment_check import DeploymentError, check_name, doubts
from seq2seq_tfx.serving.production import DeploymentConfig
from seq2seq_tfx.serving.promotion import CANARY, STABLE, Promotion


@pytest.mark.parametrize(
    "name", ["2en", "en-", "-en", "en_de.", "a" * 55, "größe", "en de", "", "en/de"]
)
def test_a_name_that_kubernetes_refuses_is_refused(name):
    with pytest.raises(DeploymentError, match="model_name: expected at most 54 letters"):
        check_name(name)


@pytest.mark.parametrize("name", ["seq2seq", "en_DE", "a", "v1.2-x", "a" * 54])
def test_other_names_are_not(name):
    check_name(name)


def pushed(base, version, tensorflow):
    model = saved_model_pb2.SavedModel()
    model.meta_graphs.add().meta_info_def.tensorflow_version = tensorflow
    (base / str(version)).mkdir(parents=True)
    (base / str(version) / "saved_model.pb").write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("image", "labels", "told"),
    [
        ("tensorflow/serving:2.19.1", {}, [7]),
        ("registry:5000/serving:2.19.1-gpu", {STABLE: 5, CANARY: 7}, [7]),
        ("tensorflow/serving:2.19.1", {STABLE: 5}, []),
        ("tensorflow/serving:2.21.0", {STABLE: 7}, []),
        ("tensorflow/serving:latest", {STABLE: 7}, []),
        ("registry:5000/serving@sha256:1", {STABLE: 7}, []),
    ],
)
def test_an_image_older_than_the_exporter_of_what_it_serves_is_told(tmp_path, image, labels, told):
    pushed(tmp_path, 5, "2.16.2")
    pushed(tmp_path, 7, "2.21.0")
    found = doubts(DeploymentConfig(image=image, gateway="edge"), tmp_path, Promotion(labels))
    assert len(found) == len(told)
    for version, doubt in zip(told, found, strict=True):
        assert f"TensorFlow 2.21 that exported version {version}" in doubt and image in doubt


@pytest.mark.parametrize(("gateway", "told"), [(None, 1), ("edge", 0)])
def test_a_canary_that_no_gateway_sends_requests_to_is_told(tmp_path, gateway, told):
    config = DeploymentConfig(gateway=gateway, canary_percent=20)
    found = doubts(config, tmp_path, Promotion({STABLE: 1, CANARY: 2}))
    assert len(found) == told and all("deployment.gateway" in doubt for doubt in found)
    assert doubts(config, tmp_path, Promotion({STABLE: 1})) == []


def test_the_command_refuses_a_name_before_it_writes_and_tells_its_doubts(tmp_path):
    def run(name):
        job = tmp_path / "job.yaml"
        job.write_text(
            "{name: job, data: {input: p.tsv}, gate: {thresholds: {bleu: {min: 1}}}, "
            f"serving: {{model_name: '{name}'}}}}"
        )
        arguments = ["--config", str(job), "--output", str(tmp_path), "--to", str(tmp_path / "to")]
        return CliRunner().invoke(cli.main, ["deployment", *arguments])

    refused = run("2en")
    assert refused.exit_code == 2 and "received '2en'" in refused.output
    assert not (tmp_path / "to").exists()
    pushed(tmp_path / "serving" / "en", 1, "2.99.0")
    done = run("en")
    assert done.exit_code == 0 and "warning: deployment.image" in done.output
    assert (tmp_path / "to" / "kubernetes.yaml").exists()
