"""The server as a process: how it starts, follows its configuration, is killed and ends."""

import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from click.testing import CliRunner

from seq2seq_tfx.pipeline import cli
from seq2seq_tfx.serving.promotion import config_file, promote, read

from ..running import COMMAND, SECONDS, Running, ask, eventually
from . import toys

pytestmark = [pytest.mark.slow]

SECRET = "the-text-of-a-client"


def test_it_answers_what_has_come_and_then_ends_and_its_log_has_no_text(made):
    with Running(made / "1") as server, server.address.channel() as channel:
        with ThreadPoolExecutor(2) as clients:
            slow = clients.submit(ask, channel, toys.SLOW + SECRET)
            rest = clients.submit(
                server.address.predict, {"instances": [toys.SLOW + SECRET + "x" * 100]}
            )
            time.sleep(0.5)
            server.address.predict({"instances": [SECRET, 1]})
            assert server.stop() == 0
            assert slow.result() == [f"v1:{toys.SLOW}{SECRET}"]
            assert rest.result().status == 200
        assert [event for event, _ in server.events()] == [
            "loading",
            "available",
            "stopping",
            "unloading",
            "unloaded",
            "stopped",
        ]
        assert SECRET not in "".join(server.log)


def test_a_model_configuration_names_versions_and_labels_and_is_followed(made, tmp_path):
    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "other" base_path: "/models/other" '
        'model_platform: "tensorflow" model_version_policy { specific { versions: 1 } } '
        'version_labels { key: "stable" value: 1 } } }'
    )
    with Running(made, "--model-config", str(config), name="other") as server:
        reply = server.address.predict({"instances": ["a"]}, "/labels/stable")
        assert reply.body["predictions"][0]["text"] == "v1:a"
        status = server.address.request("/v1/models/other").body["model_version_status"]
        assert [s["version"] for s in status] == ["1"]
        whole = config.read_text()
        config.write_text("garbage")
        eventually(lambda: ("the model configuration is refused", None) in server.events())
        config.write_text(
            whole.replace("versions: 1", "versions: 2").replace("value: 1", "value: 2")
        )
        eventually(lambda: ("unloaded", 1) in server.events())
        reply = server.address.predict({"instances": ["a"]}, "/labels/stable")
        assert reply.body["predictions"][0]["text"] == "v2:a"
        assert server.stop(signal.SIGINT) == 0


def test_a_promotion_waits_for_a_server_and_is_taken_back_where_it_refuses(made, tmp_path):
    base = tmp_path / "seq2seq"
    for version in (1, 2):
        toys.push(made / str(version), base, version)
    shutil.copytree(made / "1", base / "3")
    (base / "3" / "saved_model.pb").write_bytes(b"broken")
    promote(base, 1)
    with Running(base, "--model-config", str(config_file(base))) as server:

        def promoted(*given):
            arguments = ["promote", *given, "--model", str(base), "--server", server.address.grpc]
            return CliRunner().invoke(cli.main, ["versions", *arguments])

        assert promoted("2").exit_code == 0
        assert read(base).labels == {"stable": 2}
        # Without it the label would have moved before the server had looked.
        assert {("available", 2), ("unloaded", 1)} <= {*server.events()}
        reply = server.address.predict({"instances": ["a"]}, "/labels/stable")
        assert reply.body["predictions"][0]["text"] == "v2:a"
        refused = promoted("3")
        assert refused.exit_code == 1 and "refused version 3 of 'seq2seq'" in refused.output
        assert read(base).labels == {"stable": 2}
        reply = server.address.predict({"instances": ["a"]}, "/labels/stable")
        assert reply.body["predictions"][0]["text"] == "v2:a"
    gone = promoted("1", "--seconds", "1")
    assert gone.exit_code == 1 and "within 1 s expected a server" in gone.output


def test_killed_while_it_switches_and_with_a_full_disk_for_its_log_it_serves_on(made, tmp_path):
    base = tmp_path / "seq2seq"
    toys.push(made / "1", base, 1)
    with Running(base) as server:
        toys.push(made / "2", base, 2)
        eventually(lambda: ("loading", 2) in server.events())
        server.process.kill()  # somewhere between that and `available`
    before = sorted(path for path in base.rglob("*") if path.is_file())
    # What a server writes is its log; its disk is full.
    with Running(base, log="/dev/full") as server, server.address.channel() as channel:
        assert ask(channel, "a") == ["v2:a"]
        toys.garbage(toys.push(made / "1", base, 3))  # is refused, which it cannot log
        known = f"/v1/models/{server.address.name}/versions/3"
        eventually(lambda: "END" in str(server.address.request(known).body), 60)
        assert ask(channel, "a") == ["v2:a"]
        assert server.stop() == 0
    shutil.rmtree(base / "3")
    assert sorted(path for path in base.rglob("*") if path.is_file()) == before


def test_it_can_be_stopped_while_it_waits_for_a_version_that_is_being_copied(made, tmp_path):
    base = tmp_path / "seq2seq"
    toys.push(made / "1", base, 1)
    stop = threading.Event()

    def copy():
        while not stop.is_set():
            (base / "1" / "part").write_bytes(b"x")
            time.sleep(0.05)

    copying = threading.Thread(target=copy)
    copying.start()
    try:
        command = [*COMMAND, "--model", str(base), "--grpc-port", "0", "--rest-port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert any("waiting until it is copied" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0
    finally:
        stop.set()
        copying.join()


def test_a_model_that_hangs_does_not_keep_it_from_ending(tmp_path):
    toys.save(tmp_path, 1, rounds=10**9)
    arguments = ("--timeout", "1", "--grace", "3")
    with Running(tmp_path / "1", *arguments) as server, server.address.channel() as channel:
        with pytest.raises(grpc.RpcError) as late:
            ask(channel, toys.SLOW)
        assert late.value.code().name == "DEADLINE_EXCEEDED"
        assert server.stop() == 1
        assert ("ended, though a model has not come to its end", None) in server.events()
