"""One request to a server: over gRPC, or over REST."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol
from urllib.parse import quote

import aiohttp
import numpy as np

from ...models import features
from ..local_model import ModelError
from .grpc_messages import OPTIONS, PREDICT, GrpcMessages

UNAVAILABLE = "UNAVAILABLE"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
CANCELLED = "CANCELLED"
INVALID_ARGUMENT = "INVALID_ARGUMENT"
_JSON = {"Content-Type": "application/json"}
# The codes that upstream's statuses stand for, as far as they tell one.
_CODES = {
    400: INVALID_ARGUMENT,
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: CANCELLED,
    501: "UNIMPLEMENTED",
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}


class ServerError(ModelError):
    """A server did not answer.

    Args:
      code: the canonical code's name, such as UNAVAILABLE.
      message: the server's, or what kept it from being asked.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code


# What gRPC itself says of calls that a busy server has not read: in Python, and in C++
# where all threads are taken. Whoever ends a call here says another thing.
_DROPPED = (
    (CANCELLED, CANCELLED),
    ("RESOURCE_EXHAUSTED", "Server Threadpool Exhausted"),
)


def of_grpc(code: str, details: str) -> ServerError:
    """What gRPC tells, where a call that a busy server dropped unread is UNAVAILABLE."""
    if (code, details) in _DROPPED:
        return ServerError(UNAVAILABLE, "dropped by the server, which had not read it")
    return ServerError(code, details)


class Transport(Protocol):
    """A way to a server."""

    async def ask(
        self, signature: str, sources: Sequence[str], seconds: float
    ) -> dict[str, np.ndarray]:
        """Answers with the outputs of a signature that takes text, strings as bytes.

        Raises:
          ServerError: whatever the reason.
        """

    def request(self, signature: str, sources: Sequence[str]) -> bytes:
        """What `send` takes for these sources."""

    async def send(self, request: bytes, seconds: float) -> bytes:
        """Gives what came for a request, unread: all that must be done for each.

        Raises:
          ServerError: whatever the reason.
        """

    async def close(self) -> None:
        """Closes the connections."""


@asynccontextmanager
async def connected(
    server: str, name: str, version: int | None = None, label: str = ""
) -> AsyncIterator[Transport]:
    """A way to a server, closed at the end.

    Args:
      server: HOST:PORT for gRPC, http://HOST:PORT for REST.
      name: of the model.
      version: its number; None for the newest.
      label: in place of the number.
    """
    way = Rest if is_url(server) else Grpc
    transport = way(server, name, version, label)
    try:
        yield transport
    finally:
        await transport.close()


def is_url(server: str) -> bool:
    """Whether a server is asked over REST."""
    return server.startswith(("http://", "https://"))


class _Closable:
    """What a way tells whose client was closed."""

    _is_closed = False

    @contextmanager
    def _open(self, *ends: type[Exception]) -> Iterator[None]:
        """Makes CANCELLED of what closing raises in a request.

        Args:
          *ends: what it may raise besides `CancelledError`.
        """
        self._refuse_if_closed()
        ended: tuple[type[BaseException], ...] = (asyncio.CancelledError, *ends)
        try:
            yield
        except ended:
            # Who is cancelled by others hears of that. Before Python 3.11 no task can tell.
            if not getattr(asyncio.current_task(), "cancelling", int)():
                self._refuse_if_closed()
            raise

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise ServerError(CANCELLED, "the client is closed") from None


class Rest(_Closable):
    """Over HTTP, by columns.

    Args:
      url: http://HOST:PORT, without a path.
      name: of the model.
      version: its number; None for the newest.
      label: in place of the number.
    """

    def __init__(self, url: str, name: str, version: int | None, label: str):
        which = f"/versions/{version}" if version is not None else ""
        which = f"/labels/{quote(label, safe='')}" if label else which
        self._url = f"{url.rstrip('/')}/v1/models/{quote(name, safe='')}{which}:predict"
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, signature: str, sources: Sequence[str], seconds: float
    ) -> dict[str, np.ndarray]:
        """See `Transport`."""
        content = await self.send(self.request(signature, sources), seconds)
        try:
            outputs = json.loads(content)["outputs"]
            return {name: _array(values) for name, values in outputs.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._no_such_server(200) from error

    def request(self, signature: str, sources: Sequence[str]) -> bytes:
        """See `Transport`."""
        body = {"signature_name": signature, "inputs": {features.TEXT: list(sources)}}
        return json.dumps(body).encode()

    async def send(self, request: bytes, seconds: float) -> bytes:
        """See `Transport`."""
        try:
            with self._open(aiohttp.ClientError):
                if self._session is None:
                    # As many connections as requests: one that waited for another's would be
                    # told as slow.
                    self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
                async with self._session.post(
                    self._url, data=request, headers=_JSON, timeout=aiohttp.ClientTimeout(seconds)
                ) as reply:
                    status, content = reply.status, await reply.read()
        except asyncio.TimeoutError:
            raise ServerError(DEADLINE_EXCEEDED, f"no answer within {seconds:.3g} s") from None
        except aiohttp.ClientError as error:
            raise ServerError(UNAVAILABLE, str(error)) from error
        if status == 200:
            return content
        try:
            message = str(json.loads(content)["error"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._no_such_server(status) from error
        raise ServerError(_CODES.get(status, "UNKNOWN"), message)

    def _no_such_server(self, status: int) -> ServerError:
        code = _CODES.get(status, "UNKNOWN")
        return ServerError(code, f"no such server at {self._url} (status {status})")

    async def close(self) -> None:
        """See `Transport`."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()


class Grpc(_Closable):
    """Over gRPC.

    Args:
      target: HOST:PORT.
      name: of the model.
      version: its number; None for the newest.
      label: in place of the number.
    """

    def __init__(self, target: str, name: str, version: int | None, label: str):
        import grpc

        self._rpc_error, self._usage_error = grpc.RpcError, grpc.aio.UsageError
        self._messages = GrpcMessages(name, version, label)
        self._channel = grpc.aio.insecure_channel(target, OPTIONS)
        self._call = self._channel.unary_unary(PREDICT)  # bytes

    async def ask(
        self, signature: str, sources: Sequence[str], seconds: float
    ) -> dict[str, np.ndarray]:
        """See `Transport`."""
        return self._messages.outputs(await self.send(self.request(signature, sources), seconds))

    def request(self, signature: str, sources: Sequence[str]) -> bytes:
        """See `Transport`."""
        return self._messages.request(signature, sources)

    async def send(self, request: bytes, seconds: float) -> bytes:
        """See `Transport`."""
        try:
            with self._open(self._usage_error):
                return await self._call(request, timeout=seconds)
        except self._rpc_error as error:
            raise of_grpc(error.code().name, error.details() or "") from error

    async def close(self) -> None:
        """See `Transport`."""
        self._is_closed = True
        await self._channel.close()


def _array(values: object) -> np.ndarray:
    """Nested lists of JSON as an array, strings as bytes."""
    array = np.array(values)
    if array.dtype.kind != "U":
        return array
    # Not by way of NumPy's own strings, which lose zeros at their end.
    whole = np.array(values, object)
    for index, text in enumerate(whole.flat):
        whole.flat[index] = text.encode("utf-8", "replace")
    return whole
