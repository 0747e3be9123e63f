"""Thousands of hostile requests: the server lives, answers as before, and nothing leaks.

`make fuzz-serving` sends 12,000; the tests a part of them.
"""

import http.client
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .fuzzing import grpc_request, rest_request

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("SEQ2SEQ_FUZZ", "600"))  # of each interface
CLIENTS = 8
MORE_MEMORY = 150  # MiB that the first requests may make the allocators keep
CLIENTS_FAULTS = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "UNIMPLEMENTED",
}


@pytest.fixture
def guarded(running):
    """Holds before and after a test what must not change."""
    address = running.address
    body = {"instances": ["the fox", "quick"]}
    known = address.predict(body)
    before = _descriptors(running), _memory(running)
    yield address
    assert running.process.poll() is None
    assert address.predict(body) == known
    after = _descriptors(running), _memory(running)
    print(f"descriptors, MiB: {before} before, {after} after")
    assert after[0] <= before[0] + 3
    assert after[1] <= before[1] + MORE_MEMORY
    assert not [event for event, _ in running.events() if event == "internal error"]


def test_no_rest_request_is_answered_as_a_fault_of_the_server(guarded):
    host, port = guarded.rest.split(":")
    local = threading.local()
    connections = []

    def send(seed):
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connections.append(local.connection)
        method, path, body, headers = rest_request(seed)
        frames = "Transfer-Encoding" in headers
        try:
            local.connection.request(method, path, body, headers, encode_chunked=seed % 3 > 0)
            reply = local.connection.getresponse()
            content = reply.read()
        except (ConnectionError, http.client.HTTPException):
            # Of a message without a clear end no more can be read on this connection.
            assert frames, (seed, headers)
            local.connection.close()
            return "closed"
        if frames:
            local.connection.close()
        # Where the end of a body never comes, 504 says so.
        assert reply.status < 500 or (frames and reply.status == 504), (seed, reply.status, content)
        return reply.status

    statuses = _counted(send)
    for connection in connections:
        connection.close()
    assert statuses[200] > COUNT / 20 and statuses[400] > COUNT / 5, statuses


def test_no_grpc_request_is_answered_as_a_fault_of_the_server(guarded):
    with guarded.channel() as channel:

        def send(seed):
            method, message = grpc_request(seed)
            call = channel.unary_unary(f"/{method}").future(message, timeout=60)
            code = call.code().name
            assert code == "OK" or code in CLIENTS_FAULTS, (seed, code, call.details())
            return code

        codes = _counted(send)
    assert codes["OK"] > COUNT / 20 and codes["INVALID_ARGUMENT"] > COUNT / 5, codes


def _counted(send):
    with ThreadPoolExecutor(CLIENTS) as clients:
        counted = Counter(clients.map(send, range(COUNT)))
    print(dict(counted))
    return counted


def _descriptors(running):
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def _memory(running):
    pages = int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
