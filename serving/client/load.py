"""Open-loop load: requests come when they come, whether or not others were answered."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ...models import features
from .transports import ServerError, Transport, connected

PERCENTILES = (50, 90, 99)
SECONDS = 60.0  # until an answer counts as DEADLINE_EXCEEDED


class Load(NamedTuple):
    """What came of one rate."""

    rate: float  # requests a second that were sent
    seconds: float  # from the first to the last answer
    sent: int
    answered: int
    errors: dict[str, int]  # by canonical code
    latency_ms: dict[str, float]  # p50, p90, p99 and max of what was answered
    late_ms: dict[str, float]  # by how much requests were sent late: the sender's share of it

    @property
    def throughput(self) -> float:
        """Requests answered a second."""
        return self.answered / self.seconds

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {**self._asdict(), "throughput": self.throughput}


async def open_loop(
    transport: Transport, sources: Sequence[str], rate: float, seconds: float, seed: int
) -> Load:
    """Sends single sources at random times.

    Latency counts from the time at which a request was due, so that a sender that
    falls behind hides nothing. Requests are made before, and answers are not read: on the
    machine of the server, what is done here is taken from it.

    Args:
      transport: to the server; refusals are not waited out.
      sources: drawn from at random.
      rate: requests a second, on average.
      seconds: how long requests are sent.
      seed: of times and sources.
    """
    generator = random.Random(seed)
    requests = [transport.request(features.SERVING_SIGNATURE, [source]) for source in sources]
    latencies: list[float] = []
    late: list[float] = []
    errors: Counter[str] = Counter()

    async def one(request: bytes, due: float) -> None:
        late.append(time.perf_counter() - due)
        try:
            await transport.send(request, SECONDS)
            latencies.append(time.perf_counter() - due)
        except ServerError as error:
            errors[error.code] += 1

    tasks = []
    with _short_collections():
        start = due = time.perf_counter()
        while (due := due + generator.expovariate(rate)) < start + seconds:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(one(generator.choice(requests), due)))
        await asyncio.gather(*tasks)
        taken = max(time.perf_counter() - start, seconds)
    return Load(
        rate,
        taken,
        len(tasks),
        len(latencies),
        dict(errors),
        _percentiles(latencies),
        _percentiles(late),
    )


async def load_curve(
    server: str,
    name: str,
    sources: Sequence[str],
    rates: Iterable[float],
    seconds: float,
    seed: int = 1,
) -> list[Load]:
    """Loads a server at one rate after another.

    Args:
      server: HOST:PORT for gRPC, http://HOST:PORT for REST.
      name: of the model.
      sources: drawn from at random.
      rates: requests a second.
      seconds: how long each.
      seed: of times and sources.

    Raises:
      ServerError: the server does not answer a first request.
    """
    async with connected(server, name) as transport:
        await transport.ask(features.SERVING_SIGNATURE, sources[:1], SECONDS)
        return [await open_loop(transport, sources, rate, seconds, seed) for rate in rates]


@contextmanager
def _short_collections() -> Iterator[None]:
    """Keeps Python's collector from what lives already.

    Whoever has imported TensorFlow holds some 400,000 objects, and to walk through them takes a
    fifth of a second. In that time nothing is sent, which is no fault of the server's.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _percentiles(latencies: list[float]) -> dict[str, float]:
    if not latencies:
        return {}
    values = np.percentile(latencies, [*PERCENTILES, 100]) * 1e3
    names = [f"p{percentile}" for percentile in PERCENTILES]
    return dict(zip([*names, "max"], values.tolist(), strict=True))
