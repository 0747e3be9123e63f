"""Answers of a served model, as those of a `LocalModel`."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from ...models import features
from ..local_model import Hypothesis, ModelError, hypotheses_of, too_many
from .transports import DEADLINE_EXCEEDED, UNAVAILABLE, Grpc, Rest, ServerError, Transport

Result = TypeVar("Result")

ATTEMPTS = 6  # of one request, where it is answered UNAVAILABLE
FIRST_WAIT, LONGEST_WAIT = 0.1, 3.0  # seconds between them, at most
AT_ONCE = 4  # batches of one call that are under way together


class AsyncClient:
    """Asks a server.

    Sources are sent in batches. A request that is answered UNAVAILABLE, as by a full
    queue or a server that is starting, is sent again after a random while that grows;
    no other failure is.

    Args:
      server: HOST:PORT for gRPC, http://HOST:PORT for REST.
      name: of the model.
      version: its number; None for the newest.
      label: in place of the number.
      seconds: how long a call may take in all.
      batch_rows: sources in a request, at most.
      attempts: how often a request is sent at most.
    """

    def __init__(
        self,
        server: str,
        name: str = "seq2seq",
        version: int | None = None,
        label: str = "",
        seconds: float = 60.0,
        batch_rows: int = 32,
        attempts: int = ATTEMPTS,
    ):
        transport = Rest if server.startswith(("http://", "https://")) else Grpc
        self._transport: Transport = transport(server, name, version, label)
        self._seconds = seconds
        self._batch_rows = batch_rows
        self._attempts = attempts

    async def predict(
        self, sources: Sequence[str], nbest: int = 1, seconds: float | None = None
    ) -> list[list[Hypothesis]]:
        """Answers each source with its best hypotheses, best first.

        Args:
          sources: texts.
          nbest: how many hypotheses. Where search found fewer, fewer come.
          seconds: how long this call may take; None for the client's own.

        Raises:
          ServerError: the server did not answer, or not in time.
          ModelError: more hypotheses were asked for than the model gives.
        """
        deadline = time.monotonic() + (self._seconds if seconds is None else seconds)
        signature = features.SERVING_SIGNATURE if nbest == 1 else features.NBEST_SIGNATURE
        room = asyncio.Semaphore(AT_ONCE)

        async def one(batch: Sequence[str]) -> list[list[Hypothesis]]:
            async with room:
                outputs = await self._ask(signature, batch, deadline)
            try:
                most = outputs[features.TEXT].size // len(batch)
                if nbest > most:
                    raise too_many(most, nbest)
                return hypotheses_of(outputs, len(batch), nbest)
            except (KeyError, ValueError, AttributeError) as error:
                raise ModelError(f"expected the outputs of an export: {error}") from error

        starts = range(0, len(sources), self._batch_rows)
        tasks = [
            asyncio.create_task(one(sources[start : start + self._batch_rows])) for start in starts
        ]
        try:
            return [row for answers in await asyncio.gather(*tasks) for row in answers]
        finally:
            for task in tasks:
                task.cancel()

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, signature: str, batch: Sequence[str], deadline: float) -> Any:
        for attempt in range(1, self._attempts + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                raise ServerError(DEADLINE_EXCEEDED, "the time for the call is over")
            try:
                return await self._transport.ask(signature, batch, left)
            except ServerError as error:
                if error.code != UNAVAILABLE or attempt == self._attempts:
                    raise
                # A random while, so that clients that were refused together do not
                # come back together.
                wait = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
                if time.monotonic() + wait >= deadline:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


class Client:
    """The same for programs that do not use asyncio; takes what `AsyncClient` takes."""

    def __init__(self, server: str, **settings: Any):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

        async def made() -> AsyncClient:
            return AsyncClient(server, **settings)

        self._client = self._run(made())

    def predict(
        self, sources: Sequence[str], nbest: int = 1, seconds: float | None = None
    ) -> list[list[Hypothesis]]:
        """See `AsyncClient.predict`."""
        return self._run(self._client.predict(sources, nbest, seconds))

    def close(self) -> None:
        """Closes the connections."""
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
