"""The files for production are those that upstream documents, with what the configuration says."""

import json
import re

import kubernetes.client
import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import text_format, wrappers_pb2
from pydantic import ValidationError
from ruamel.yaml import YAML
from tensorflow_serving.config import model_server_config_pb2

from seq2seq_tfx.models import features
from seq2seq_tfx.pipeline import cli
from seq2seq_tfx.serving.production import BatchingConfig, DeploymentConfig, as_yaml, write_files
from seq2seq_tfx.serving.promotion import CANARY, STABLE, Promotion

BOTH = Promotion({STABLE: 5, CANARY: 12})


def written(folder, promoted=BOTH, **settings):
    paths = write_files(DeploymentConfig(**settings), "seq2seq", promoted, folder)
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def manifests(files):
    return {
        (document["kind"], document["metadata"]["name"]): document
        for document in YAML(typ="safe").load_all(files["kubernetes.yaml"])
    }


@pytest.mark.parametrize("word", ["no", "on", "null", "12:30:45", "1_000", "010", "1e3", "a: b"])
def test_words_stay_words_in_either_version_of_yaml(word):
    documents = [{"name": word, "words": [word, "a\nb\n"]}, {"count": 3, "is": True, "none": None}]
    text = as_yaml(documents)
    assert [*yaml.safe_load_all(text)] == [*YAML(typ="safe").load_all(text)] == documents
    assert not text.startswith("%")


def model_of(text):
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    return model


@pytest.mark.parametrize(("label", "version"), [(STABLE, 5), (CANARY, 12)])
def test_servers_of_a_label_load_its_version_alone(tmp_path, label, version):
    model = model_of(written(tmp_path, models="gs://bucket/served/")[f"{label}/models.config"])
    assert (model.name, model.base_path) == ("seq2seq", "gs://bucket/served/seq2seq")
    assert list(model.model_version_policy.specific.versions) == [version]
    assert dict(model.version_labels) == {label: version}


def test_where_nothing_was_promoted_servers_follow_the_newest_and_there_is_no_canary(tmp_path):
    files = written(tmp_path, Promotion())
    assert model_of(files["stable/models.config"]).model_version_policy.latest.num_versions == 1
    assert not any(CANARY in name for name in files)
    assert not any(name.endswith(CANARY) for _, name in manifests(files))


def test_batching_parameters_are_those_of_upstreams_page(tmp_path):
    batching = BatchingConfig(rows=64, wait_milliseconds=1.5, queued_batches=3, threads=4)
    text = written(tmp_path, batching=batching)["stable/batching.config"]
    found = {
        name: text_format.Parse(value, wrappers_pb2.Int64Value()).value
        for name, value in re.findall(r"^(\w+) \{(.*)\}$", text, re.MULTILINE)
    }
    assert found == {
        "max_batch_size": 64,
        "batch_timeout_micros": 1500,
        "max_enqueued_batches": 3,
        "num_batch_threads": 4,
    }


def test_monitoring_is_upstreams_configuration_and_what_kubernetes_scrapes(tmp_path):
    files = written(tmp_path)
    (inner,) = re.findall(
        r"^prometheus_config \{\n(.*)\}\s*$", files["stable/monitoring.config"], re.DOTALL
    )
    told = dict(line.split(": ") for line in inner.split("\n") if line.strip())
    path = "/monitoring/prometheus/metrics"
    assert told == {"  enable": "true", "  path": f'"{path}"'}
    pod = manifests(files)["Deployment", "seq2seq-stable"]["spec"]["template"]
    scraped = pod["metadata"]["annotations"]
    assert scraped["prometheus.io/path"] == path and scraped["prometheus.io/port"] == "8501"


# Upstream's tensorflow_model_server --help.
FLAGS = {
    "--port",
    "--rest_api_port",
    "--grpc_max_threads",
    "--rest_api_num_threads",
    "--rest_api_timeout_in_ms",
    "--model_config_file",
    "--allow_version_labels_for_unavailable_models",
    "--enable_batching",
    "--batching_parameters_file",
    "--monitoring_config_file",
}


@pytest.mark.parametrize("models", ["/models", "/data/served/", "gs://bucket"])
def test_the_container_holds_what_its_command_names(tmp_path, models):
    files = written(tmp_path, models=models)
    lines = [line for line in files["Dockerfile"].splitlines() if not line.startswith("#")]
    steps = [line.partition(" ")[::2] for line in lines]
    assert steps[0] == ("FROM", DeploymentConfig().image)
    assert [step for step, _ in steps[1:]] == ["COPY"] * (1 + (models[0] == "/")) + [
        "EXPOSE",
        "USER",
        "ENTRYPOINT",
    ]
    copied = dict(what.split() for step, what in steps if step == "COPY")
    base_path = model_of(files["stable/models.config"]).base_path
    assert copied.pop("stable/") == "/config/"
    assert copied == ({"seq2seq/": f"{base_path}/"} if models[0] == "/" else {})
    program, *flags = json.loads(dict(steps)["ENTRYPOINT"])
    assert program == "tensorflow_model_server"
    assert {flag.partition("=")[0] for flag in flags} == FLAGS
    for flag in flags:
        if "_file=" in flag:
            folder, _, name = flag.partition("=")[2].rpartition("/")
            assert folder == "/config" and f"stable/{name}" in files


def test_the_queue_is_full_before_threads_are(tmp_path):
    batching = BatchingConfig(rows=40, queued_batches=3, threads=5)
    lines = written(tmp_path, batching=batching)["Dockerfile"]
    (threads,) = {int(n) for n in re.findall(r"--(?:grpc_max|rest_api_num)_threads=(\d+)", lines)}
    assert threads > 40 * (3 + 5)


def unknown(value, kind, path=""):
    """Fields that a class of Kubernetes's own client does not have, and those it misses."""
    if match := re.fullmatch(r"(?:list\[|dict\(str, )(.*)[\])]", kind):
        children = value.values() if isinstance(value, dict) else value
        return [x for child in children for x in unknown(child, match[1], f"{path}[]")]
    if not hasattr(kubernetes.client, kind):
        return [] if isinstance(value, (str, int, float, bool)) else [f"{path}: {kind}"]
    model = getattr(kubernetes.client, kind)
    names = {written: name for name, written in model.attribute_map.items()}
    found = []
    for key, child in value.items():
        if key not in names:
            found.append(f"{path}.{key}")
        else:
            found += unknown(child, model.openapi_types[names[key]], f"{path}.{key}")
    # The constructor refuses what lacks a field that must be there.
    model(**{names[key]: child for key, child in value.items() if key in names})
    return found


CLASSES = {
    "ConfigMap": "V1ConfigMap",
    "Deployment": "V1Deployment",
    "Service": "V1Service",
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
}


def test_manifests_have_the_fields_that_kubernetes_knows(tmp_path):
    found = manifests(written(tmp_path))
    assert {kind for kind, _ in found} == set(CLASSES)
    for (kind, _), document in found.items():
        assert unknown(document, CLASSES[kind], kind) == []


def test_the_check_of_manifests_finds_what_is_wrong():
    probe = {"httpGet": {"path": "/", "prot": 1}}
    with pytest.raises(ValueError, match="port"):
        unknown(probe, "V1Probe")
    assert unknown({"periodSecs": 1}, "V1Probe") == [".periodSecs"]


def test_a_pod_gets_requests_once_its_model_answers_and_is_restarted_once_it_hangs(tmp_path):
    found = manifests(written(tmp_path))
    for label in (STABLE, CANARY):
        pod = found["Deployment", f"seq2seq-{label}"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            ((kind, action),) = (
                (key, value) for key, value in container[probe].items() if isinstance(value, dict)
            )
            assert kind in ("httpGet", "tcpSocket") and action["port"] in ports
        # Metadata is there once a version is loaded and warmed; status is always there.
        for probe in ("startupProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["path"] == "/v1/models/seq2seq/metadata"
        assert container["livenessProbe"]["httpGet"]["path"] == "/v1/models/seq2seq"


def test_a_pod_ends_only_when_its_last_requests_have_had_their_time(tmp_path):
    found = manifests(written(tmp_path, request_seconds=45.5))
    for label in (STABLE, CANARY):
        pod = found["Deployment", f"seq2seq-{label}"]["spec"]["template"]["spec"]
        command, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert command == "sleep" and 45.5 < int(seconds) < pod["terminationGracePeriodSeconds"]


def test_a_server_finds_its_files_its_models_and_its_ports(tmp_path):
    files = written(tmp_path, memory="3Gi", cpu=1.5)
    found = manifests(files)
    for label in (STABLE, CANARY):
        pod = found["Deployment", f"seq2seq-{label}"]["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "3Gi"}
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        data = found["ConfigMap", f"seq2seq-{label}"]["data"]
        assert data == {
            name.partition("/")[2]: text
            for name, text in files.items()
            if name.startswith(f"{label}/")
        }
        for argument in container["args"]:
            if "_file=" in argument:
                folder, _, name = argument.partition("=")[2].rpartition("/")
                assert folder == mounted["config"] and name in data
        assert model_of(data["models.config"]).base_path == f"{mounted['models']}/seq2seq"
        service = found["Service", f"seq2seq-{label}"]["spec"]
        assert service["selector"] == pod["metadata"]["labels"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert {p["targetPort"]: p["port"] for p in service["ports"]} == ports
        assert f"--port={ports['grpc']}" in container["args"]
        assert f"--rest_api_port={ports['rest']}" in container["args"]
    selectors = [found["Service", f"seq2seq-{label}"]["spec"]["selector"] for label in BOTH.labels]
    assert selectors[0] != selectors[1]


def test_pods_are_replaced_where_their_files_change_and_only_there(tmp_path):
    def templates(promoted, **settings):
        found = manifests(written(tmp_path, promoted, **settings))
        return [
            found["Deployment", f"seq2seq-{label}"]["spec"]["template"] for label in BOTH.labels
        ]

    stable, canary = templates(BOTH)
    assert templates(BOTH, canary_percent=50) == [stable, canary]
    moved = templates(Promotion({STABLE: 5, CANARY: 13}))
    assert moved[0] == stable and moved[1] != canary
    batched = templates(BOTH, batching=BatchingConfig(rows=64))
    assert batched[0] != stable and batched[1] != canary


def test_of_a_canary_that_is_none_any_more_nothing_stays(tmp_path):
    (base := tmp_path / "out/serving/seq2seq").mkdir(parents=True)
    to = tmp_path / "to"
    write_files(DeploymentConfig(), base.name, BOTH, to)
    job = tmp_path / "job.yaml"
    job.write_text("{name: job, data: {input: p.tsv}, gate: {thresholds: {bleu: {min: 1}}}}")
    arguments = ["deployment", "--config", job, "--output", tmp_path / "out", "--to", to]
    found = CliRunner().invoke(cli.main, [*map(str, arguments)])
    assert found.exit_code == 0, found.output
    assert "kubectl --namespace default delete deployment,service,configmap seq2seq-canary" in (
        found.output
    )
    assert not (to / "canary").exists() and (to / "stable/models.config").exists()


def test_models_of_a_bucket_need_no_volume(tmp_path):
    found = manifests(written(tmp_path, models="gs://bucket"))
    spec = found["Deployment", "seq2seq-stable"]["spec"]["template"]["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["config"]


@pytest.mark.parametrize(("promoted", "weights"), [(BOTH, [80, 20]), (Promotion(), [100])])
def test_a_gateway_sends_the_canary_its_share(tmp_path, promoted, weights):
    found = manifests(written(tmp_path, promoted, gateway="edge", canary_percent=20))
    # One route: a gateway may refuse a second kind of route on the same listener.
    assert [kind for kind, _ in found if kind.endswith("Route")] == ["HTTPRoute"]
    spec = found["HTTPRoute", "seq2seq-requests"]["spec"]
    assert spec["parentRefs"] == [{"name": "edge"}]
    of_grpc, of_rest = spec["rules"]
    assert "matches" not in of_rest
    assert {match["path"]["value"] for match in of_grpc["matches"]} == {
        "/tensorflow.serving.PredictionService",
        "/tensorflow.serving.ModelService",
    }
    for rule, port in ((of_grpc, "grpc"), (of_rest, "rest")):
        assert [backend["weight"] for backend in rule["backendRefs"]] == weights
        for backend in rule["backendRefs"]:
            ports = found["Service", backend["name"]]["spec"]["ports"]
            (served,) = (each for each in ports if each["name"] == port)
            assert served["port"] == backend["port"]
            assert (served.get("appProtocol") == "kubernetes.io/h2c") == (port == "grpc")


# The fields of gateway.networking.k8s.io/v1, as its page names them.
ROUTE = {
    "parentRefs": [dict.fromkeys(("group", "kind", "namespace", "name", "sectionName", "port"))],
    "hostnames": None,
    "rules": [
        {
            "name": None,
            "matches": [
                {
                    "path": {"type": None, "value": None},
                    "headers": None,
                    "queryParams": None,
                    "method": None,
                }
            ],
            "filters": None,
            "backendRefs": [
                dict.fromkeys(("group", "kind", "namespace", "name", "port", "weight", "filters"))
            ],
            "timeouts": None,
        }
    ],
}


def strange(value, known, path=""):
    """The fields that a page does not name."""
    if isinstance(value, list):
        return [x for child in value for x in strange(child, known[0], f"{path}[]")]
    if not isinstance(value, dict):
        return []
    return [
        x
        for key, child in value.items()
        for x in (
            strange(child, known[key], f"{path}.{key}") if key in known else [f"{path}.{key}"]
        )
    ]


def test_the_route_has_the_fields_that_the_gateway_api_knows(tmp_path):
    route = manifests(written(tmp_path, gateway="edge"))["HTTPRoute", "seq2seq-requests"]
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert set(route) == {"apiVersion", "kind", "metadata", "spec"}
    assert strange(route["spec"], ROUTE) == []
    assert strange({"rules": [{"backendRef": []}]}, ROUTE) == [".rules[].backendRef"]
    for rule in route["spec"]["rules"]:
        for match in rule.get("matches", []):
            assert match["path"]["type"] == "PathPrefix" and match["path"]["value"][0] == "/"
        assert all(0 <= backend["weight"] <= 1_000_000 for backend in rule["backendRefs"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 3, "most_replicas": 2},
        {"models": "models"},
        {"models": "//"},
        {"models": "/config/served"},
        {"cpu": 0.0001},
        {"request_seconds": 0.0001},
        {"image": "x\nUSER root"},
        {"memory": "2 GB"},
        {"claim": "Models"},
        {"canary_percent": 101},
        {"image": ""},
        {"batching": {"rows": features.WARM_UP_ROWS - 1}},
    ],
)
def test_what_would_be_refused_where_it_is_served_is_refused_before(wrong):
    with pytest.raises(ValidationError):
        DeploymentConfig(**wrong)


def test_the_command_says_which_configuration_is_missing(tmp_path):
    found = CliRunner().invoke(
        cli.main, ["deployment", "--config", str(tmp_path / "none.yaml"), "--to", str(tmp_path)]
    )
    assert found.exit_code == 2 and "none.yaml" in found.output
