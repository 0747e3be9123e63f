"""The log is lines of JSON, and what a client sent is in it only where that was asked for."""

import asyncio
import json
import logging
import sys
from io import StringIO

import numpy as np
import pytest
from aiohttp.test_utils import TestServer

from seq2seq_tfx.pipeline.served_try_page import ServedTryPage
from seq2seq_tfx.serving.server import log
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.metrics import Metrics
from seq2seq_tfx.serving.server.prediction import answer
from seq2seq_tfx.serving.server.rest_service import RestService
from seq2seq_tfx.serving.server.versions import Policy, Version, Versions

SECRET = "the-text-of-a-client"
POST = f"POST /v1/models/toy:predict HTTP/1.1\r\nHost: {SECRET}\r\nConnection: close\r\n"


@pytest.fixture
def logged(monkeypatch):
    """Sets the log up as the command does; gives its lines."""
    loggers = [logging.getLogger(name) for name in (log.__package__, *log.LIBRARIES)]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]

    def start(**settings):
        stream = StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        log.log_to_stderr(**settings)
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    yield start
    log.REQUESTS.setLevel(logging.NOTSET)
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def failing(versions, *_):
    raise ZeroDivisionError(SECRET)


def send(tmp_path, *requests):
    """Sends bytes to a server whose model fails."""

    async def main():
        metrics = Metrics()
        versions = Versions("toy", tmp_path, Policy(), lambda _: None, 0.0, metrics)
        service = RestService(versions, Limits(), metrics, ServedTryPage("toy"))
        async with TestServer(service.application()) as server:
            for request in requests:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(request.encode())
                await reader.read()
                writer.close()
        await versions.close(1.0)

    asyncio.run(main())


def test_what_a_client_sends_is_in_no_line_and_every_line_is_json(tmp_path, logged, monkeypatch):
    lines = logged()
    monkeypatch.setattr(Versions, "using", failing)
    body = f'{{"instances": ["{SECRET}"]}}'
    coded = f"{POST}Content-Length: {len(body)}\r\nContent-Encoding: "
    send(
        tmp_path,
        f"{POST}Transfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
        f"{coded}br\r\n\r\n{body}",
        f"{coded}gzip\r\n\r\n{body}",
        f"{POST}Content-Length: {len(body)}\r\n\r\n{body}",
    )
    logging.getLogger("asyncio").error(f"Exception in callback f({SECRET!r})\nhandle: {SECRET}")
    told = lines()
    assert SECRET not in json.dumps(told)
    events = {(line["event"], line["level"]) for line in told}
    assert events >= {
        ("aiohttp.server: Error handling request from", "warning"),
        ("asyncio: Exception in callback f", "error"),
        ("internal error", "error"),
    }
    (fault,) = (line["error"] for line in told if line["event"] == "internal error")
    assert fault.endswith("ZeroDivisionError") and "in failing" in fault


class Echo:
    async def answer(self, signature, joins, inputs, deadline):
        return inputs


@pytest.mark.parametrize("text", [False, True])
def test_the_text_of_requests_is_logged_where_it_was_asked_for(logged, text):
    class Servable:
        joins = {"serving_default": True}

    lines = logged(text=text)
    version = Version(1, servable=Servable(), batcher=Echo())
    inputs = {"text": np.array([SECRET.encode(), b"\xff"], object)}
    asyncio.run(answer(version, "serving_default", inputs, Limits(), Metrics()))
    told = [(line["event"], line["signature"], line["text"]) for line in lines()]
    assert told == [("asked", "serving_default", {"text": [SECRET, "\ufffd"]})] * text


def test_an_error_of_no_request_is_told_whole(logged):
    lines = logged()
    try:
        raise OSError("of files")
    except OSError:
        logging.getLogger(f"{log.__package__}.versions").exception("cannot be followed")
    assert "of files" in lines()[0]["error"]
