"""What TensorFlow Serving itself makes of exports, of files for production and of promotions.

    SEQ2SEQ_TENSORFLOW_SERVING=.../tensorflow_model_server make accept-serving

`test_contract.py` and `test_parity.py` ask it as well where it is named.
"""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import tensorflow as tf
from click.testing import CliRunner
from tensorflow_serving.apis import predict_pb2

from seq2seq_tfx.pipeline import cli
from seq2seq_tfx.serving import production
from seq2seq_tfx.serving.client import Client
from seq2seq_tfx.serving.local_model import LocalModel, ModelError
from seq2seq_tfx.serving.promotion import CANARY, STABLE, Promotion, config_file, promote, read

from ..scripts import script
from .asking import REAL
from .model_server import BINARY, VARIABLE, ModelServer
from .running import ask, eventually, prediction_stub

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARY, reason=f"{VARIABLE} names no server"),
]

fuzzed_sources = script("benchmarks/serving_parity").fuzzed_sources
POLLS = "--model_config_file_poll_wait_seconds=1"
UNLOADED = "--allow_version_labels_for_unavailable_models=true"


@pytest.fixture
def base(exported, tmp_path):
    """A folder with two pushed versions."""
    for version in ("3", "5"):
        shutil.copytree(exported.directory, tmp_path / "serving" / "seq2seq" / version)
    return tmp_path / "serving" / "seq2seq"


def answers(client, sources, **options):
    return [[tuple(answer)[:2] for answer in row] for row in client.predict(sources, **options)]


def answering(server, label):
    """The version that answers for a label; the code, where none does."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.version_label = "seq2seq", label
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["the fox"]))
    with server.address.channel() as channel:
        try:
            return prediction_stub(channel).Predict(request).model_spec.version.value
        except grpc.RpcError as error:
            return error.code()


def test_as_its_container_starts_it_batches_of_many_clients_are_answered_as_alone(base, tmp_path):
    sources = [*REAL, *(text for text in fuzzed_sources(200, seed=3) if text)]
    local = LocalModel(base / "5")
    rows = local.predict(sources, nbest=2)
    expected = {s: [h[:2] for h in row] for s, row in zip(sources, rows, strict=True)}
    with ModelServer.in_production(BINARY, base, tmp_path / "files") as server:
        for place in (server.address.grpc, f"http://{server.address.rest}"):
            with Client(place, seconds=120) as client, ThreadPoolExecutor(16) as pool:
                found = [*pool.map(lambda s: answers(client, [s], nbest=2)[0], sources)]
            for source, row in zip(sources, found, strict=True):
                assert [text for text, _ in row] == [text for text, _ in expected[source]]
                assert [score for _, score in row] == pytest.approx(
                    [score for _, score in expected[source]], abs=1e-4
                )
        metrics = server.address.request(production.METRICS)
        assert metrics.status == 200 and "batching_session" in str(metrics.body)
        with server.address.channel() as channel, pytest.raises(grpc.RpcError) as refused:
            ask(channel, *["x"] * (production.BatchingConfig().rows + 1))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_client_asks_again_where_all_threads_are_taken(base):
    with (
        ModelServer.of(BINARY, base, "--grpc_max_threads=3") as server,
        Client(server.address.grpc, attempts=30) as client,
        ThreadPoolExecutor(20) as pool,
    ):
        found = [*pool.map(lambda _: answers(client, ["the fox"]), range(100))]
    assert found == [found[0]] * 100


def test_servers_of_a_label_answer_for_it_and_for_no_other(base, tmp_path):
    promoted = Promotion({STABLE: 3, CANARY: 5})
    for label, version in promoted.labels.items():
        files = tmp_path / label
        with ModelServer.in_production(BINARY, base, files, promoted, label) as server:
            assert answering(server, label) == version
            assert server.address.request("/v1/models/seq2seq/metadata").status == 200
            other = answering(server, STABLE if label == CANARY else CANARY)
            assert other == grpc.StatusCode.INVALID_ARGUMENT


def test_a_label_moves_where_the_server_is_named_and_no_request_fails(base):
    promote(base, 3)
    failures, done = [], threading.Event()
    with ModelServer(BINARY, f"--model_config_file={config_file(base)}", POLLS, UNLOADED) as server:

        def go_on():
            with Client(server.address.grpc, label=STABLE, seconds=60) as client:
                while not done.is_set():
                    try:
                        client.predict(["the fox"])
                    except ModelError as error:
                        failures.append(error)

        thread = threading.Thread(target=go_on)
        thread.start()
        commands = (["promote", "5"], ["rollback"], ["promote", "5", "--label", CANARY])
        try:
            for command, labels in zip(
                commands, ({STABLE: 5}, {STABLE: 3}, {STABLE: 3, CANARY: 5}), strict=True
            ):
                told = CliRunner().invoke(
                    cli.main,
                    ["versions", *command, "--model", str(base), "--server", server.address.grpc],
                )
                assert told.exit_code == 0, told.output
                assert read(base).labels == labels
                for label, version in labels.items():
                    assert answering(server, label) == version
        finally:
            done.set()
            thread.join()
    assert failures == []


def test_a_label_that_moves_in_one_step_is_refused_and_what_answered_goes_on(base):
    promote(base, 3)
    with ModelServer(BINARY, f"--model_config_file={config_file(base)}", POLLS, UNLOADED) as server:
        promote(base, 5)
        eventually(lambda: server.logged("assign label to version 5"), 30)
        assert answering(server, STABLE) == 3


def test_a_version_that_cannot_be_read_is_refused_and_the_older_one_answers(base):
    with ModelServer.of(BINARY, base) as server:
        (broken := base.parent / "broken").mkdir()
        (broken / "saved_model.pb").write_bytes(b"no graph")
        broken.rename(base / "9")
        eventually(lambda: server.logged("version: 9} failed"), 30)
        with server.address.channel() as channel:
            assert ask(channel, "the fox")
