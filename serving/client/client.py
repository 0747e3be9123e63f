"""Answers of a served model, as those of a `LocalModel`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models import features
from ..local_model import Hypothesis, ModelError, check_nbest, hypotheses_of
from .blocking import BlockingGrpc, BlockingRest, BlockingTransport
from .transports import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    INVALID_ARGUMENT,
    UNAVAILABLE,
    Grpc,
    Rest,
    ServerError,
    Transport,
    is_url,
)

ATTEMPTS = 6  # of one request, where it is answered UNAVAILABLE
FIRST_WAIT, LONGEST_WAIT = 0.1, 3.0  # seconds between them, at most
AT_ONCE = 4  # batches of one call that are under way together


class _Asks:
    """What both clients are told of the server."""

    _WAYS: tuple[type, type]  # over REST, and over gRPC
    _transport: Any

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
        if batch_rows < 1:
            raise ModelError(f"batch_rows: expected at least 1, received {batch_rows}")
        over_rest, over_grpc = self._WAYS
        way = over_rest if is_url(server) else over_grpc
        self._transport = way(server, name, version, label)
        self._seconds = seconds
        self._batch_rows = batch_rows
        self._attempts = attempts

    def _call(self, seconds: float | None) -> _Call:
        seconds = self._seconds if seconds is None else seconds
        return _Call(self._attempts, time.monotonic() + seconds)


class AsyncClient(_Asks):
    """Asks a server.

    Sources are sent in batches. A request that is answered UNAVAILABLE, as by a full
    queue or a server that is starting, is sent again after a random while that grows;
    no other failure is. A call of several batches goes on for as long as some of them
    are answered.

    Args:
      server: HOST:PORT for gRPC, http://HOST:PORT for REST.
      name: of the model.
      version: its number; None for the newest.
      label: in place of the number.
      seconds: how long a call may take in all.
      batch_rows: sources in a request, at most.
      attempts: how often a request is sent at most, counted anew whenever another of its
        call was answered.

    Raises:
      ModelError: `batch_rows` is less than one.
    """

    _WAYS = (Rest, Grpc)
    _transport: Transport

    async def predict(
        self, sources: Sequence[str], nbest: int = 1, seconds: float | None = None
    ) -> list[list[Hypothesis]]:
        """Answers each source with its best hypotheses, best first.

        Args:
          sources: texts.
          nbest: how many hypotheses. Where search found fewer, fewer come.
          seconds: how long this call may take; None for the client's own.

        Raises:
          ServerError: the server did not answer, or not in time; the client was closed; or
            a source is no text.
          ModelError: more hypotheses were asked for than the model gives, or none.
        """
        _check(sources, nbest)
        call = self._call(seconds)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(batch: Sequence[str]) -> list[list[Hypothesis]]:
            async with room:
                outputs = await self._ask(_signature(nbest), batch, call)
            return _hypotheses(outputs, len(batch), nbest)

        batches = _batches(sources, self._batch_rows)
        if len(batches) == 1:  # in this task: another takes its time
            return await one(batches[0])
        tasks = [asyncio.create_task(one(batch)) for batch in batches]
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

    async def _ask(
        self, signature: str, batch: Sequence[str], call: _Call
    ) -> dict[str, np.ndarray]:
        attempts = _Attempts(call)
        while True:
            try:
                answer = await self._transport.ask(signature, batch, attempts.seconds_left())
                call.answered += 1
                return answer
            except ServerError as error:
                await asyncio.sleep(attempts.seconds_to_wait(error))


class Client(_Asks):
    """The same for programs that do not use asyncio, from any of their threads."""

    _WAYS = (BlockingRest, BlockingGrpc)
    _transport: BlockingTransport

    def predict(
        self, sources: Sequence[str], nbest: int = 1, seconds: float | None = None
    ) -> list[list[Hypothesis]]:
        """See `AsyncClient.predict`."""
        _check(sources, nbest)
        call = self._call(seconds)

        def one(batch: Sequence[str]) -> list[list[Hypothesis]]:
            outputs = self._ask(_signature(nbest), batch, call)
            return _hypotheses(outputs, len(batch), nbest)

        batches = _batches(sources, self._batch_rows)
        if len(batches) == 1:  # in this thread: to change it takes its time
            return one(batches[0])
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask")
        try:
            asked = [pool.submit(one, batch) for batch in batches]
            for answered in as_completed(asked):
                answered.result()  # the first fault is told at once
            return [row for answered in asked for row in answered.result()]
        finally:
            call.is_over = True
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, signature: str, batch: Sequence[str], call: _Call) -> dict[str, np.ndarray]:
        attempts = _Attempts(call)
        while True:
            try:
                answer = self._transport.ask(signature, batch, attempts.seconds_left())
                call.answered += 1
                return answer
            except ServerError as error:
                time.sleep(attempts.seconds_to_wait(error))


@dataclass
class _Call:
    """What the requests of one call share."""

    attempts: int  # of each, at most, since one was answered
    deadline: float  # of `time.monotonic`
    answered: int = 0
    is_over: bool = False


class _Attempts:
    """How often, and until when, one request is sent."""

    def __init__(self, call: _Call):
        self._call = call
        self._answered = call.answered  # of the call, as these were last counted anew
        self._made = self._counted = 0

    def seconds_left(self) -> float:
        """What the next attempt may take."""
        self._made += 1
        self._counted += 1
        if self._call.is_over:
            raise ServerError(CANCELLED, "another request of the call failed")
        left = self._call.deadline - time.monotonic()
        if left <= 0:
            raise ServerError(DEADLINE_EXCEEDED, "the time for the call is over")
        return left

    def seconds_to_wait(self, error: ServerError) -> float:
        """How long until the next attempt; raises the error where there is none."""
        if self._call.answered > self._answered:  # the server gets on with the call
            self._answered, self._counted = self._call.answered, 1
        if error.code != UNAVAILABLE or self._counted >= self._call.attempts:
            raise error
        # A random while, so that clients that were refused together do not come back together.
        # The doublings have a bound, for no float holds a thousand of them.
        grown = FIRST_WAIT * 2 ** min(self._made, 30)
        wait = random.uniform(0, min(LONGEST_WAIT, grown))
        if time.monotonic() + wait >= self._call.deadline:
            raise error
        return wait


def _check(sources: Sequence[str], nbest: int) -> None:
    """Refuses what no server can be asked, over REST as over gRPC.

    Raises:
      ServerError: a source is none that UTF-8 can hold.
      ModelError: no hypothesis was asked for.
    """
    check_nbest(nbest)
    for place, source in enumerate(sources):
        try:
            source.encode()
        except UnicodeEncodeError as error:
            raise ServerError(
                INVALID_ARGUMENT, f"sources[{place}]: expected text that UTF-8 can hold: {error}"
            ) from error


def _signature(nbest: int) -> str:
    return features.SERVING_SIGNATURE if nbest == 1 else features.NBEST_SIGNATURE


def _batches(sources: Sequence[str], rows: int) -> list[Sequence[str]]:
    return [sources[start : start + rows] for start in range(0, len(sources), rows)]


def _hypotheses(outputs: Mapping[str, np.ndarray], rows: int, nbest: int) -> list[list[Hypothesis]]:
    try:
        most = outputs[features.TEXT].size // rows
        check_nbest(nbest, most)
        return hypotheses_of(outputs, rows, nbest)
    except (KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"expected the outputs of an export: {error}") from error
