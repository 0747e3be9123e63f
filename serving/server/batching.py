"""Rows of many requests answered together, short ones apart from long ones.

A version has a lane for each signature and each band of lengths, so that a long sentence
delays its own lane alone.
"""

from __future__ import annotations

import asyncio
import bisect
import math
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from grpc import StatusCode

from .errors import RequestError
from .lanes import Arrays, Job, Lane, Workload
from .limits import Limits
from .metrics import Metrics

BOUNDS = (16, 48, 128, 384)  # of the bands: bytes of the longest string of a row
BANDS = len(BOUNDS) + 1


class Batcher:
    """The lanes of one version.

    Args:
      run: answers a batch of a signature.
      limits: of batches and queues.
      pool: the threads.
      metrics: where batches are counted.
    """

    def __init__(
        self,
        run: Callable[[str, Arrays], Arrays],
        limits: Limits,
        pool: Executor,
        metrics: Metrics,
    ):
        self._run = run
        self._limits = limits
        self._workload = Workload(limits, pool, metrics)
        self._lanes: dict[tuple[str, bool, int], Lane] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being answered."""
        return bool(self._workload.batches)

    async def answer(self, signature: str, joins: bool, inputs: Arrays, deadline: float) -> Arrays:
        """Answers a request, cut into rows of like length where they may be.

        Args:
          signature: its name.
          joins: whether its rows may be answered beside those of others.
          inputs: arrays whose first axis is rows.
          deadline: of `time.monotonic`.

        Raises:
          RequestError: UNAVAILABLE where a queue is full; whatever the model raises.
        """
        each = _bands(inputs)
        if not joins or not each:
            return await self._one(signature, False, max(each, default=0), inputs, deadline)
        if len(each) == 1:
            return await self._one(signature, True, each[0], inputs, deadline)
        bands = np.array(each)
        parts = [
            rows[start : start + self._limits.batch_rows]
            for band in np.unique(bands)
            for rows in [np.flatnonzero(bands == band)]
            for start in range(0, len(rows), self._limits.batch_rows)
        ]
        if len(parts) == 1:
            return await self._one(signature, True, int(bands[0]), inputs, deadline)
        lanes = [self._lane(signature, True, int(bands[rows[0]])) for rows in parts]
        _refuse_if_full(*lanes)
        jobs = [
            Job({name: values[rows] for name, values in inputs.items()}, len(rows), deadline)
            for rows in parts
        ]
        for lane, job in zip(lanes, jobs, strict=True):
            lane.add(job)
        try:
            answers = await asyncio.gather(*map(Lane.answered, lanes, jobs))
        except RequestError as error:
            if error.code != StatusCode.INVALID_ARGUMENT:
                raise
            # The model told of a row by its number in a part: ask it of the whole.
            for job in jobs:
                job.answer.cancel()
            return await self._one(signature, False, int(bands.max()), inputs, deadline)
        finally:
            for job in jobs:
                job.answer.cancel()
        return _in_order(parts, answers)

    async def _one(
        self, signature: str, joins: bool, band: int, inputs: Arrays, deadline: float
    ) -> Arrays:
        lane = self._lane(signature, joins, band)
        job = Job(inputs, len(next(iter(inputs.values()))), deadline)
        _refuse_if_full(lane)
        lane.add(job)
        return await lane.answered(job)

    def _lane(self, signature: str, joins: bool, band: int) -> Lane:
        key = signature, joins, band
        if key not in self._lanes:

            def run(inputs: Arrays) -> Arrays:
                return self._run(signature, inputs)

            self._lanes[key] = Lane(run, joins, self._workload)
        return self._lanes[key]


def _bands(inputs: Arrays) -> list[int]:
    """The band of each row."""
    longest = [0] * len(next(iter(inputs.values())))
    for values in inputs.values():
        if values.dtype == object:
            flat = values.reshape(len(values), math.prod(values.shape[1:])).tolist()
            rows = zip(longest, flat, strict=True)
            longest = [max([length, *map(len, row)]) for length, row in rows]
    return [bisect.bisect_left(BOUNDS, length) for length in longest]


def _in_order(parts: list[np.ndarray], answers: list[Arrays]) -> Arrays:
    order = np.argsort(np.concatenate(parts))
    return {
        name: np.concatenate([answer[name] for answer in answers])[order] for name in answers[0]
    }


def _refuse_if_full(*lanes: Lane) -> None:
    if not all(lane.has_room() for lane in lanes):
        raise RequestError(StatusCode.UNAVAILABLE, "the queue is full; ask again later")
