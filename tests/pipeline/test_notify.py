"""Hooks are told how a run ended, and nothing that they do can harm it."""

import json
import socket
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import ValidationError

from seq2seq_tfx.pipeline.night_config import NotifyConfig
from seq2seq_tfx.pipeline.notify import notify

PAYLOAD = {"job": "g2p", "reason": "größer als 0,4"}


@contextmanager
def web_server(answer):
    """A real one on loopback; gives its address and the bodies that it was sent."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            received.append((self.headers["Content-Type"], self.rfile.read(length)))
            answer(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    server.handle_error = lambda *_: None  # whoever drips is left alone
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/secret", received
    finally:
        server.shutdown()
        server.server_close()


def ok(handler):
    handler.send_response(204)
    handler.end_headers()


def test_a_webhook_gets_the_payload_as_json():
    with web_server(ok) as (address, received):
        assert notify(NotifyConfig(webhook=address), "blessed", PAYLOAD) == []
    ((kind, body),) = received
    assert kind == "application/json; charset=utf-8"
    assert json.loads(body) == {"event": "blessed", **PAYLOAD}


def test_the_address_may_stand_in_the_environment(monkeypatch):
    with web_server(ok) as (address, received):
        monkeypatch.setenv("NIGHTS_HOOK", address)
        assert notify(NotifyConfig(webhook="$NIGHTS_HOOK"), "failed", PAYLOAD) == []
        assert len(received) == 1
    (fault,) = notify(NotifyConfig(webhook="$NO_SUCH_HOOK"), "failed", PAYLOAD)
    assert fault == (
        "notify: expected http://... or https://... in the variable NO_SUCH_HOOK of the environment"
    )


def test_a_command_gets_the_payload_on_its_standard_input(tmp_path):
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    command = [sys.executable, "-c", code, str(tmp_path / "told")]
    assert notify(NotifyConfig(command=command), "data_gate", PAYLOAD) == []
    assert json.loads((tmp_path / "told").read_bytes()) == {"event": "data_gate", **PAYLOAD}


def test_only_named_events_are_told(tmp_path):
    config = NotifyConfig(command=["touch", str(tmp_path / "told")], on=["failed"])
    assert notify(config, "blessed", PAYLOAD) == []
    assert not (tmp_path / "told").exists()
    assert notify(config, "failed", PAYLOAD) == []
    assert (tmp_path / "told").exists()


def test_a_command_that_hangs_is_stopped_with_all_that_it_started(tmp_path):
    alive = tmp_path / "alive"
    script = f"(while :; do touch {alive}; sleep 0.05; done) & sleep 600"
    config = NotifyConfig(command=["/bin/sh", "-c", script], timeout_seconds=0.5)
    assert notify(config, "failed", PAYLOAD) == [
        "notify: /bin/sh had not ended after 0.5 s, and was stopped"
    ]
    alive.unlink()
    time.sleep(0.3)
    assert not alive.exists()


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (["/bin/sh", "-c", "cat >/dev/null; echo no network >&2; exit 7"],
         "/bin/sh ended with code 7: no network"),
        (["/bin/sh", "-c", "exec 0<&-; exit 0"], None),
        (["/no/such/program"], "/no/such/program cannot be started: "),
    ],
)  # fmt: skip
def test_a_command_that_fails_is_a_warning(command, fault):
    found = notify(NotifyConfig(command=command), "failed", {"reason": "x" * 1_000_000})
    assert [told[: len(f"notify: {fault}")] for told in found] == [f"notify: {fault}"] * bool(fault)


@pytest.mark.slow
def test_a_webhook_that_hangs_drips_refuses_or_is_gone_is_a_warning_without_its_address():
    def hang(handler):
        time.sleep(20)

    def drip(handler):
        for character in b"HTTP/1.1 200 OK\r\n" * 20:
            handler.wfile.write(bytes([character]))
            time.sleep(0.1)

    def refuse(handler):
        handler.send_error(500)

    for answer, expected in (
        (hang, "had not answered after 0.5 s"),
        (drip, "had not answered after 0.5 s"),
        (refuse, "answered 500"),
    ):
        with web_server(answer) as (address, _):
            config = NotifyConfig(webhook=address, timeout_seconds=0.5)
            (fault,) = notify(config, "failed", PAYLOAD)
        assert fault.startswith("notify: 127.0.0.1") and "secret" not in fault
        assert expected in fault or "timed out" in fault
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (fault,) = notify(NotifyConfig(webhook=f"http://127.0.0.1:{port}/secret"), "failed", PAYLOAD)
    assert "ConnectionRefusedError" in fault or "URLError" in fault
    assert "secret" not in fault


def test_a_webhook_that_sends_elsewhere_was_not_told():
    def elsewhere(handler):
        handler.send_response(302)
        handler.send_header("Location", "/a/page")
        handler.end_headers()

    with web_server(elsewhere) as (address, received):
        assert notify(NotifyConfig(webhook=address), "failed", PAYLOAD) == [
            "notify: 127.0.0.1 answered 302"
        ]
    assert len(received) == 1


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:1/my secret", "http://me:secret@127.0.0.1/", "http://é/\x01secret"],
)
def test_what_is_wrong_with_an_address_is_told_without_it(address):
    (fault,) = notify(NotifyConfig(webhook=address), "failed", PAYLOAD)
    assert fault.startswith("notify: ") and "secret" not in fault


@pytest.mark.parametrize("address", ["http://[secret", "https://secret\u2100.example"])
def test_an_address_that_is_none_is_a_warning_without_it(address):
    (fault,) = notify(NotifyConfig(webhook=address), "failed", PAYLOAD)
    assert fault.startswith("notify: expected an address such as https://HOST/PATH")
    assert "secret" not in fault


def test_a_command_that_may_not_be_stopped_is_waited_for_no_longer(monkeypatch):
    def refused(*_):
        raise PermissionError("of another user")

    monkeypatch.setattr("os.killpg", refused)
    config = NotifyConfig(command=["/bin/sleep", "2"], timeout_seconds=0.3)
    assert notify(config, "failed", PAYLOAD) == [
        "notify: /bin/sleep had not ended after 0.3 s, and could not be stopped"
    ]


def test_a_hook_that_breaks_spares_the_other_and_a_name_may_be_no_utf_8(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no more processes")

    monkeypatch.setattr("subprocess.Popen", broken)
    with web_server(ok) as (address, received):
        config = NotifyConfig(command=["tell"], webhook=address)
        found = notify(config, "failed", {"output": "/data/\udcff"})
    assert found == ["notify: a command failed: RuntimeError"]
    ((_, body),) = received
    assert json.loads(body)["output"] == "/data/?"


def test_what_is_no_hook_is_refused():
    webhooks = ("file:///etc/passwd", "https://", "$", "${}", "$HOOK/path")
    for wrong in ({"command": []}, {"on": ["pushed"]}, *({"webhook": each} for each in webhooks)):
        with pytest.raises(ValidationError):
            NotifyConfig(**wrong)
    for right in ("$HOOK", "${HOOK}", "http://[::1]:80/x"):
        assert NotifyConfig(webhook=right).webhook == right
