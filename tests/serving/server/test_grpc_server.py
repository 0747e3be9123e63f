"""Calls that come while the event loop is busy, and the end of the server."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from seq2seq_tfx.serving.server.grpc_server import AT_ONCE, GrpcServer

UNREAD = "grpc.server.max_pending_requests"
# Of calls that nobody has asked for, gRPC's core keeps one, and drops the others.
KEEPS_ONE = [(UNREAD, 1), (f"{UNREAD}_hard_limit", 2)]
SECONDS = 30.0  # after which something hangs


async def echo(request, context):
    return request


def serving(test):
    """Runs a test's coroutine with a server and a way to ask it from other threads."""

    async def main():
        server = GrpcServer(KEEPS_ONE)
        echoing = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", echoing),))
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        with ThreadPoolExecutor(1) as pool, grpc.insecure_channel(address) as channel:
            call = channel.unary_unary("/Test/Echo")

            def ask(count):
                asked = [call.future(b"%d" % i, timeout=SECONDS) for i in range(count)]
                return [str(one.exception() and one.code()) for one in asked]

            def asked(count):
                return asyncio.wrap_future(pool.submit(ask, count))

            try:
                assert await asked(1) == ["None"]
                await asyncio.wait_for(test(server, asked), SECONDS)
            finally:
                await server.stop(0)

    asyncio.run(main())


def test_none_of_many_calls_is_dropped_while_the_loop_is_busy():
    async def test(server, asked):
        answers = asked(AT_ONCE // 2)
        time.sleep(1.0)  # it looks at nothing meanwhile
        assert await answers == ["None"] * (AT_ONCE // 2)

    serving(test)


def test_what_has_come_when_it_ends_is_answered(caplog):
    async def test(server, asked):
        answers = asked(AT_ONCE // 2)
        time.sleep(1.0)  # it looks at nothing meanwhile
        await server.stop(2 * SECONDS)
        assert await answers == ["None"] * (AT_ONCE // 2)

    serving(test)
    assert not caplog.records
