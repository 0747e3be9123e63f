"""REST without a process: how late answers and late bodies end, and what is measured of them."""

import asyncio
import gzip
import re
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp.test_utils import TestClient, TestServer

from seq2seq_tfx.serving.server.batching import Batcher
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.metrics import Metrics
from seq2seq_tfx.serving.server.rest_service import RestService
from seq2seq_tfx.serving.server.versions import Policy, Versions

from . import toys

PREDICT = "/v1/models/toy:predict"


@pytest.fixture
def post(made, tmp_path):
    """Sends bodies one after another: statuses, answers, metrics."""
    toys.push(made / "1", tmp_path, 1)

    def post(limits, *bodies, encoding=""):
        async def main(pool):
            metrics = Metrics()

            def new_batcher(servable):
                return Batcher(servable.run, limits, pool, metrics)

            versions = Versions("toy", tmp_path, Policy(), new_batcher, 0.0, metrics)
            await versions.refresh()
            service = RestService(versions, limits, metrics)
            replies = []
            server = TestServer(service.application())
            await server.start_server(auto_decompress=False)  # as the server itself
            headers = {"Content-Encoding": encoding} if encoding else {}
            async with TestClient(server) as client:
                for body in bodies:
                    data = body() if callable(body) else body
                    reply = await client.post(PREDICT, data=data, headers=headers)
                    replies.append((reply.status, (await reply.json()).get("error")))
            await versions.close(60.0)
            return replies, metrics.text().decode()

        with ThreadPoolExecutor(2) as pool:
            return asyncio.run(main(pool))

    return post


def measured(metrics, name):
    return {
        match[1]: float(match[2])
        for match in re.finditer(
            rf"^seq2seq_serving_{name}\{{(.*)\}} (\S+)$", metrics, re.MULTILINE
        )
    }


def test_an_answer_that_takes_too_long_is_504_and_measured(post):
    replies, metrics = post(Limits(seconds=0.3), f'{{"instances": ["{toys.SLOW}"]}}')
    assert replies == [(504, "no answer before the deadline")]
    counted = measured(metrics, "requests_total")
    assert counted == {'api="rest",code="DEADLINE_EXCEEDED",method="predict"': 1}
    assert measured(metrics, "request_seconds_count") == {'api="rest",method="predict"': 1}
    below = measured(metrics, "request_seconds_bucket")
    assert below['api="rest",le="0.2",method="predict"'] == 0
    assert below['api="rest",le="+Inf",method="predict"'] == 1
    assert measured(metrics, "request_seconds_sum")['api="rest",method="predict"'] >= 0.3


def test_a_body_that_takes_too_long_is_504(post):
    async def late():
        yield b'{"instances": '
        await asyncio.sleep(2)

    replies, _ = post(Limits(body_seconds=0.2), late)
    assert replies == [(504, "expected the whole body within 0.2 s")]


BODY = b'{"instances": ["a"]}'
PACKED = gzip.compress(BODY)


def test_a_body_in_gzip_is_unpacked_where_it_is_whole(post):
    broken = [PACKED[:-5], PACKED + b"x", BODY, b""]
    replies, _ = post(Limits(), PACKED, *broken, encoding="gzip")
    assert [status for status, _ in replies] == [200, 400, 400, 400, 400]


def test_a_small_body_of_much_in_gzip_is_refused(post):
    replies, _ = post(Limits(request_bytes=1000), gzip.compress(b" " * 10_000), encoding="gzip")
    assert replies == [(400, "expected a request of at most 1000 bytes, received more")]


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "nope"])
def test_other_encodings_are_not_looked_at(post, encoding):
    replies, _ = post(Limits(), BODY, zlib.compress(BODY), encoding=encoding)
    assert [status for status, _ in replies] == [200, 400]
