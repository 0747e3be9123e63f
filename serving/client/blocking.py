"""One request to a server, for a thread that waits for its answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Protocol

import numpy as np

from .grpc_messages import OPTIONS, PREDICT, GrpcMessages
from .transports import CANCELLED, Rest, ServerError, of_grpc


class BlockingTransport(Protocol):
    """A way to a server, for any number of threads."""

    def ask(self, signature: str, sources: Sequence[str], seconds: float) -> dict[str, np.ndarray]:
        """See `Transport`."""

    def close(self) -> None:
        """Closes the connections."""


class BlockingGrpc:
    """Over gRPC, in the thread that asks. Takes what `Grpc` takes."""

    def __init__(self, target: str, name: str, version: int | None, label: str):
        import grpc

        self._rpc_error = grpc.RpcError
        self._messages = GrpcMessages(name, version, label)
        self._channel = grpc.insecure_channel(target, OPTIONS)
        self._call = self._channel.unary_unary(PREDICT)  # bytes

    def ask(self, signature: str, sources: Sequence[str], seconds: float) -> dict[str, np.ndarray]:
        """See `Transport`."""
        request = self._messages.request(signature, sources)
        try:
            reply = self._call(request, timeout=seconds)
        except self._rpc_error as error:
            raise of_grpc(error.code().name, error.details() or "") from error
        except ValueError as error:  # what gRPC says of a channel that is closed
            raise ServerError(CANCELLED, "the client is closed") from error
        return self._messages.outputs(reply)

    def close(self) -> None:
        """See `BlockingTransport`."""
        self._channel.close()


class BlockingRest:
    """Over HTTP, by a thread with an event loop. Takes what `Rest` takes."""

    def __init__(self, url: str, name: str, version: int | None, label: str):
        self._rest = Rest(url, name, version, label)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._is_closed = False
        self._lock = threading.Lock()

    def ask(self, signature: str, sources: Sequence[str], seconds: float) -> dict[str, np.ndarray]:
        """See `Transport`."""
        with self._lock:  # a loop that has stopped would never answer
            if self._is_closed:
                raise ServerError(CANCELLED, "the client is closed")
            work = self._rest.ask(signature, sources, seconds)
            answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return answer.result()
        except CancelledError:
            raise ServerError(CANCELLED, "the client was closed") from None

    def close(self) -> None:
        """See `BlockingTransport`."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        asked = asyncio.all_tasks() - {asyncio.current_task()}
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await self._rest.close()
