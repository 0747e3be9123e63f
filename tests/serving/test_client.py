"""The client: what it sends, what it sends again, when it gives up."""

import asyncio
import gc
import socket
import threading
import time
from concurrent import futures
from contextlib import nullcontext

import grpc
import numpy as np
import pytest

from seq2seq_tfx.serving.client import AsyncClient, Client
from seq2seq_tfx.serving.client.client import _Attempts, _Call
from seq2seq_tfx.serving.client.load import load_curve
from seq2seq_tfx.serving.client.transports import ServerError
from seq2seq_tfx.serving.local_model import Hypothesis, LocalModel, ModelError

from ..jobs import seq2seq
from .running import eventually
from .scripted_servers import (  # noqa: F401  the fixtures
    CODES,
    Script,
    grpc_server,
    prediction_service,
    reply,
    rest_server,
)


@pytest.fixture(params=["rest", "grpc"])
def start(request):
    return request.getfixturevalue(f"{request.param}_server")


def test_sources_go_in_batches_and_answers_come_in_order(start):
    script = Script(0.2, 0.1)
    sources = [f"s{i}" for i in range(10)]
    with Client(start(script), batch_rows=4) as client:
        assert client.predict(sources) == [[Hypothesis(s.upper(), -0.5, -0.5)] for s in sources]
        assert client.predict([]) == []
    batches = sorted(texts for _, texts in script.asked)
    assert batches == [sources[:4], sources[4:8], sources[8:]]


def test_hypotheses_come_without_the_places_that_search_left_empty(start):
    with Client(start(Script())) as client:
        (answer,) = client.predict(["ä"], nbest=3)
        assert answer == [Hypothesis("Ä", -0.5, -0.5), Hypothesis("ä", -1.5, -1.5)]
        with pytest.raises(ModelError, match=r"at most 3 hypotheses.*received 4"):
            client.predict(["a"], nbest=4)


def test_unavailable_is_asked_again(start):
    script = Script(503, 503)
    with Client(start(script)) as client:
        assert client.predict(["a"])[0][0].text == "A"
    assert len(script.asked) == 3


def test_what_a_busy_server_of_grpc_drops_unread_is_asked_again():
    unread = "grpc.server.max_pending_requests"

    async def predict(request, context):
        return reply("serving_default", ["a"])

    async def main():
        server = grpc.aio.server(options=[(unread, 1), (f"{unread}_hard_limit", 2)])
        server.add_generic_rpc_handlers((prediction_service(predict),))
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()

        def ask():
            with Client(address, attempts=20) as client:
                return client.predict(["a"])[0][0].text

        with futures.ThreadPoolExecutor(20) as pool:
            asked = [asyncio.wrap_future(pool.submit(ask)) for _ in range(20)]
            time.sleep(0.5)  # it looks at nothing meanwhile
            answers = await asyncio.gather(*asked)
        await server.stop(0)
        return answers

    assert asyncio.run(main()) == ["A"] * 20


@pytest.mark.parametrize(
    ("details", "calls"), [("Server Threadpool Exhausted", 2), ("another quota", 1)]
)
def test_what_a_server_without_a_free_thread_refuses_is_asked_again(details, calls):
    asked = []

    def predict(request, context):
        asked.append(request)
        if len(asked) == 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
        return reply("serving_default", ["a"])

    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((prediction_service(predict),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    refused = pytest.raises(ServerError, match=details) if calls == 1 else nullcontext()
    with Client(address) as client, refused:
        assert client.predict(["a"])[0][0].text == "A"
    server.stop(0)
    assert len(asked) == calls


def test_nothing_else_is_asked_again(start):
    for status in (400, 500, 504):
        script = Script(status)
        with Client(start(script)) as client, pytest.raises(ServerError) as failure:
            client.predict(["a"])
        assert failure.value.code == CODES[status]
        assert len(script.asked) == 1


def test_it_gives_up_after_a_few_attempts(start, monkeypatch):
    monkeypatch.setattr("seq2seq_tfx.serving.client.client.LONGEST_WAIT", 0.01)
    script = Script(*[503] * 50)
    with Client(start(script)) as client, pytest.raises(ServerError, match="UNAVAILABLE: no"):
        client.predict(["a"])
    assert len(script.asked) == 6


def test_it_goes_on_for_as_long_as_batches_of_its_call_are_answered(start, monkeypatch):
    monkeypatch.setattr("seq2seq_tfx.serving.client.client.LONGEST_WAIT", 0.2)
    sources = [f"s{i}" for i in range(40)]
    script = Script(*[*[503] * 4, 200] * 40)
    with Client(start(script), batch_rows=1, attempts=6) as client:
        assert [row[0].text for row in client.predict(sources)] == [s.upper() for s in sources]


def test_a_call_takes_no_longer_than_it_may(start):
    for script in (Script(5.0), Script(*[503] * 50)):
        with Client(start(script)) as client:
            begun = time.monotonic()
            with pytest.raises(ServerError, match=r"DEADLINE_EXCEEDED|UNAVAILABLE"):
                client.predict(["a"], seconds=0.3)
            assert time.monotonic() - begun < 3


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_server_that_is_not_there_is_unavailable(scheme):
    with socket.socket() as taken:  # and does not listen
        taken.bind(("127.0.0.1", 0))
        server = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        with Client(server, seconds=0.5) as client, pytest.raises(ServerError) as failure:
            client.predict(["a"])
        assert failure.value.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_many_calls_go_on_together(start):
    async def main():
        async with AsyncClient(start(Script(*[0.3] * 8))) as client:
            return await asyncio.gather(*(client.predict([f"s{i}"]) for i in range(8)))

    answers = asyncio.run(main())
    assert [rows[0][0].text for rows in answers] == [f"S{i}" for i in range(8)]


def test_calls_of_many_threads_go_on_together(start):
    with Client(start(Script(*[0.3] * 8))) as client, futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client.predict, [[f"s{i}"] for i in range(8)]))
    assert [rows[0][0].text for rows in answers] == [f"S{i}" for i in range(8)]


def test_a_program_that_runs_an_event_loop_may_use_either(start):
    async def main():
        with Client(start(Script())) as client:
            return client.predict(["a", "b"])

    assert [rows[0].text for rows in asyncio.run(main())] == ["A", "B"]


def test_the_fault_of_a_batch_ends_the_call(start):
    script = Script(200, 400, *[0.2] * 8)
    with Client(start(script), batch_rows=1) as client, pytest.raises(ServerError) as failure:
        client.predict([f"s{i}" for i in range(40)])
    assert failure.value.code == "INVALID_ARGUMENT" and len(script.asked) < 40


def test_a_fault_is_told_before_slower_batches_are_answered(start):
    script = Script(8.0, 400)
    with Client(start(script), batch_rows=1) as client:
        begun = time.monotonic()
        with pytest.raises(ServerError, match="INVALID_ARGUMENT"):
            client.predict(["a", "b"])
        assert time.monotonic() - begun < 7


def test_after_a_fault_no_batch_of_the_call_is_asked_again(start, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda _, most: most)  # 0.2 s
    script = Script(503, 400)
    with Client(start(script), batch_rows=1) as client:
        with pytest.raises(ServerError, match="INVALID_ARGUMENT"):
            client.predict(["a", "b"])
        eventually(lambda: not any(t.name.startswith("ask") for t in threading.enumerate()))
    assert len(script.asked) == 2


def test_to_close_it_ends_what_other_threads_ask(start):
    script = Script(5.0)
    client = Client(start(script))
    with futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.predict, ["a"])
        eventually(lambda: script.asked)
        client.close()
        with pytest.raises(ServerError, match="CANCELLED"):
            answer.result(4)
    client.close()
    with pytest.raises(ServerError, match="CANCELLED"):
        client.predict(["a"])


def test_so_does_closing_the_one_for_asyncio(start):
    script = Script(5.0)

    async def main():
        client = AsyncClient(start(script))
        answer = asyncio.create_task(client.predict(["a"]))
        while not script.asked:
            await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(ServerError, match="CANCELLED"):
            await answer
        with pytest.raises(ServerError, match="CANCELLED"):
            await client.predict(["a"])
        assert len(script.asked) == 1

    asyncio.run(main())


def test_whoever_is_cancelled_hears_of_that(start):
    script = Script(5.0)

    async def main():
        async with AsyncClient(start(script)) as client:
            answer = asyncio.create_task(client.predict(["a"]))
            while not script.asked:
                await asyncio.sleep(0.01)
            answer.cancel()
            with pytest.raises(asyncio.CancelledError):
                await answer

    asyncio.run(main())


def test_what_no_server_can_be_asked_is_refused_before_it_is_sent(start):
    script = Script()
    address = start(script)
    with pytest.raises(ModelError, match="batch_rows: expected at least 1, received 0"):
        Client(address, batch_rows=0)
    with Client(address) as client:
        for nbest in (0, -1):
            with pytest.raises(ModelError, match=f"at least one hypothesis, received.*{nbest}"):
                client.predict(["a"], nbest)
        with pytest.raises(ServerError, match=r"INVALID_ARGUMENT: sources\[1\]"):
            client.predict(["a", "\ud800"])
    assert script.asked == []


def test_a_request_may_be_sent_any_number_of_times():
    attempts = _Attempts(_Call(5000, time.monotonic() + 1000))
    for _ in range(2000):
        attempts.seconds_left()
    assert attempts.seconds_to_wait(ServerError("UNAVAILABLE", "no")) <= 3


def test_load_counts_what_is_answered_and_what_is_refused(start):
    script = Script(200, *[503] * 5)  # the first request is before the load
    (measured,) = asyncio.run(load_curve(start(script), "seq2seq", ["a", "b"], [100.0], 0.5))
    assert measured.sent == len(script.asked) - 1 > 5
    assert measured.errors == {"UNAVAILABLE": 5}
    assert measured.answered == measured.sent - 5
    assert {tuple(texts) for _, texts in script.asked} == {("a",), ("b",)}
    assert gc.get_freeze_count() == 0  # the collector is as it was


@pytest.mark.slow
@pytest.mark.modern
def test_a_served_model_answers_as_one_in_this_process(exported, running):
    sources = ["the fox", "", "Über große 语言", "nul\0", "quick"] * 9
    expected = LocalModel(exported.directory)
    for server in (running.address.grpc, f"http://{running.address.rest}"):
        for settings in ({}, {"version": 1}):
            with Client(server, **settings) as client:
                for nbest in (1, 3):
                    for found, known in zip(
                        client.predict(sources, nbest),
                        expected.predict(sources, nbest),
                        strict=True,
                    ):
                        assert [h.text for h in found] == [h.text for h in known]
                        np.testing.assert_allclose(
                            [h.score for h in found], [h.score for h in known], atol=1e-4
                        )
        with Client(server, version=2) as client, pytest.raises(ServerError, match="NOT_FOUND"):
            client.predict(["a"])


@pytest.mark.slow
def test_the_command_asks_a_server_as_it_asks_a_model(exported, running, tmp_path):
    lines = b"the fox\n\nquick\ncaf\xe9\n"
    asked = ["predict", "--nbest", "2", "--scores"]
    known = seq2seq(*asked, "--model", exported.directory, cwd=tmp_path, stdin=lines)
    for server in (running.address.grpc, f"http://{running.address.rest}"):
        found = seq2seq(*asked, "--server", server, cwd=tmp_path, stdin=lines)
        assert (found.returncode, found.stdout) == (known.returncode, known.stdout)
        assert found.returncode == 1 and b"1 lines were not UTF-8" in found.stderr
    other = seq2seq("predict", "--server", server, "--name", "x", cwd=tmp_path, stdin=b"a\n")
    assert other.returncode == 1 and b"error: NOT_FOUND: " in other.stderr
