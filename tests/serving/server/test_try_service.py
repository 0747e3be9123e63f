"""The form at `/`: whatever a client sends, what is wrong with it is told as its fault."""

import asyncio

import pytest
from aiohttp.test_utils import TestClient, TestServer

from seq2seq_tfx.pipeline.served_try_page import ServedTryPage
from seq2seq_tfx.serving.server.http_bodies import FORM
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.metrics import Metrics
from seq2seq_tfx.serving.server.rest_service import RestService
from seq2seq_tfx.serving.server.versions import Policy, Versions

LIMITS = Limits(request_bytes=5000, body_seconds=0.2)
HEAD = '--b\r\nContent-Disposition: form-data; name="text"\r\n'


@pytest.fixture
def post(tmp_path):
    """Sends a body to the page of a server without a version: status, page, metrics."""

    def post(body, **headers):
        async def main():
            metrics = Metrics()
            versions = Versions("toy", tmp_path, Policy(), lambda _: None, 0.0, metrics)
            service = RestService(versions, LIMITS, metrics, ServedTryPage("toy"))
            async with TestClient(TestServer(service.application())) as client:
                headers_sent = {name.replace("_", "-"): value for name, value in headers.items()}
                reply = await client.post("/", data=body, headers=headers_sent)
                told = reply.status, await reply.text()
            await versions.close(1.0)
            return *told, metrics.text().decode()

        return asyncio.run(main())

    return post


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (f"{FORM}; charset=nope", "text=a", "utf-8"),
        (FORM, "text=%ff%ed", "UTF-8"),
        (FORM, b"\xff\xfe", "UTF-8"),
        (FORM, "&".join("a=b" for _ in range(101)), "at most 100 fields"),
        (FORM, "x" * 5001, "at most 5000 bytes"),
        (FORM, "text=a&beam_size=many", "a whole number"),
        ("multipart/form-data; boundary=b", f"{HEAD}\r\na\r\n--b--\r\n", FORM),
        (
            "multipart/form-data; boundary=b",
            f"{HEAD}Content-Type: text/plain; charset=nope\r\n\r\na\r\n--b--\r\n",
            FORM,
        ),
        ("multipart/form-data", "garbage", FORM),
    ],
)
def test_a_form_that_cannot_be_read_is_its_clients_fault_and_counted(post, kind, body, told):
    status, page, metrics = post(body, Content_Type=kind)
    assert status == 400 and told in page
    assert 'requests_total{api="page",code="INVALID_ARGUMENT",method="answer"} 1.0' in metrics


def test_a_form_of_another_encoding_than_it_says_is_its_clients_fault(post):
    assert post("text=a", Content_Type=FORM, Content_Encoding="gzip")[0] == 400


def test_a_form_that_does_not_arrive_is_told_so(post):
    async def slow():
        yield b"text="
        await asyncio.sleep(1)

    status, page, _ = post(slow(), Content_Type=FORM)
    assert status == 504 and "within 0.2 s" in page


def test_a_form_that_no_version_can_answer_says_so_and_keeps_its_text(post):
    status, page, metrics = post("text=h%C3%A9llo", Content_Type=FORM)
    assert status == 404 and "Servable not found" in page and "héllo" in page
    assert 'requests_total{api="page",code="NOT_FOUND",method="answer"} 1.0' in metrics
