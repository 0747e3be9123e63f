"""Rows of many requests answered together, short ones apart from long ones.

A version has a lane for each signature and each band of lengths. A lane decodes a batch
or two at a time, each in a thread, and whatever came meanwhile is its next batch: nobody
waits for a timer, and batches grow with the load. So a long sentence delays its own lane
alone, and while the answers of one batch are told the next is being decoded.
"""

from __future__ import annotations

import asyncio
import bisect
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from grpc import StatusCode

from .errors import RequestError
from .limits import Limits
from .metrics import Metrics

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], Arrays]

BOUNDS = (16, 48, 128, 384)  # of the bands: bytes of the longest string of a row
BANDS = len(BOUNDS) + 1
NEWEST = 0.3  # what a full batch counts for in the pace


@dataclass
class Job:
    """Rows of one request that go into one batch."""

    inputs: Arrays
    rows: int
    deadline: float  # of `time.monotonic`
    answer: asyncio.Future[Arrays] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def answered(self) -> Arrays:
        """Waits for the answer, until the deadline at most."""
        # The loop's clock is that of the deadline.
        alarm = asyncio.get_running_loop().call_at(self.deadline, _tell, self, _late())
        try:
            return await self.answer
        finally:
            alarm.cancel()


class Lane:
    """A bounded queue, and the tasks that empty it while there is something in it.

    Args:
      run: answers a batch; it is called in a thread.
      joins: whether jobs may share a batch.
      limits: of the batch and of the queue.
      pool: the threads.
      metrics: where batches are counted.
    """

    def __init__(self, run: Run, joins: bool, limits: Limits, pool: Executor, metrics: Metrics):
        self._run = run
        self._joins = joins
        self._limits = limits
        self._pool = pool
        self._metrics = metrics
        self._jobs: deque[Job] = deque()
        self._rows = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._since = 0.0  # the last batch ended, or the first of a time of work began
        self._pace = 0.0  # seconds a row, of the last full batches

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being answered."""
        return bool(self._tasks)

    def has_room(self, rows: int) -> bool:
        """Whether so many rows more may wait: a request that is larger than what is left, too.

        Else a large one, that needs an empty queue, would never be taken among small ones.
        """
        limits = self._limits
        soon = self._rows * self._pace < limits.queue_seconds or self._rows < limits.batch_rows
        return not rows or (soon and self._rows < limits.queue_rows)

    def add(self, job: Job) -> None:
        """Takes a job that there is room for."""
        if not self._tasks:
            self._since = time.monotonic()
        self._jobs.append(job)
        self._count(job.rows)
        if len(self._tasks) < self._limits.batches:
            self._tasks.add(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        assert this is not None
        try:
            while batch := self._next_batch():
                rows = sum(job.rows for job in batch)
                full = bool(self._jobs) or rows >= self._limits.batch_rows
                try:
                    outcomes = await loop.run_in_executor(self._pool, self._answer, batch)
                except Exception as error:  # of ours; each job must hear of it
                    outcomes = [error] * len(batch)
                self._keep_pace(rows, full)
                for job, outcome in zip(batch, outcomes, strict=True):
                    _tell(job, outcome)
        finally:  # at once: what is added next must find that nobody looks any more
            self._tasks.discard(this)

    def _keep_pace(self, rows: int, full: bool) -> None:
        """Learns of a batch that has ended; where two are decoded at once each counts for half.

        One that had room for more, and found nothing more, tells nothing of how soon a queue
        is answered: a row by itself takes several times what it takes among others.
        """
        now = time.monotonic()
        if full:
            taken = (now - self._since) / max(rows, 1)
            self._pace += NEWEST * (taken - self._pace) if self._pace else taken
        self._since = now

    def _next_batch(self) -> list[Job]:
        batch: list[Job] = []
        rows = 0
        while self._jobs:
            job = self._jobs[0]
            if batch and (not self._joins or rows + job.rows > self._limits.batch_rows):
                break
            self._count(-self._jobs.popleft().rows)
            if job.answer.done():
                continue
            if time.monotonic() >= job.deadline:
                _tell(job, _late())
                continue
            batch.append(job)
            rows += job.rows
        return batch

    def _answer(self, batch: list[Job]) -> list[Arrays | Exception]:
        """Runs in a thread: answers all jobs, together or else each alone."""
        self._metrics.batch_rows.observe(sum(job.rows for job in batch))
        try:
            return [self._run(batch[0].inputs)] if len(batch) == 1 else self._together(batch)
        except RequestError as error:
            if len(batch) == 1:
                return [error]
            # One of them is at fault, and the others must not suffer for it.
            return [outcome for job in batch for outcome in self._answer([job])]

    def _together(self, batch: list[Job]) -> list[Arrays | Exception]:
        joined = {
            name: np.concatenate([job.inputs[name] for job in batch]) for name in batch[0].inputs
        }
        outputs = self._run(joined)
        ends = np.cumsum([job.rows for job in batch])[:-1]
        parts = {name: np.split(values, ends) for name, values in outputs.items()}
        return [{name: parts[name][i] for name in parts} for i in range(len(batch))]

    def _count(self, rows: int) -> None:
        self._rows += rows
        self._metrics.queue_rows.inc(rows)


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
        self._pool = pool
        self._metrics = metrics
        self._lanes: dict[tuple[str, bool, int], Lane] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being answered."""
        return any(lane.is_busy for lane in self._lanes.values())

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
        waiting: dict[Lane, int] = {}
        for lane, rows in zip(lanes, parts, strict=True):
            waiting[lane] = waiting.get(lane, 0) + len(rows)
        _refuse_if_full(waiting)
        jobs = [
            Job({name: values[rows] for name, values in inputs.items()}, len(rows), deadline)
            for rows in parts
        ]
        for lane, job in zip(lanes, jobs, strict=True):
            lane.add(job)
        try:
            answers = await asyncio.gather(*(job.answered() for job in jobs))
        except RequestError as error:
            if error.code != StatusCode.INVALID_ARGUMENT:
                raise
            # The model told of a row by its number in a part: ask it of the whole.
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
        _refuse_if_full({lane: job.rows})
        lane.add(job)
        return await job.answered()

    def _lane(self, signature: str, joins: bool, band: int) -> Lane:
        key = signature, joins, band
        if key not in self._lanes:

            def run(inputs: Arrays) -> Arrays:
                return self._run(signature, inputs)

            self._lanes[key] = Lane(run, joins, self._limits, self._pool, self._metrics)
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


def _late() -> RequestError:
    return RequestError(StatusCode.DEADLINE_EXCEEDED, "no answer before the deadline")


def _in_order(parts: list[np.ndarray], answers: list[Arrays]) -> Arrays:
    order = np.argsort(np.concatenate(parts))
    return {
        name: np.concatenate([answer[name] for answer in answers])[order] for name in answers[0]
    }


def _refuse_if_full(waiting: dict[Lane, int]) -> None:
    for lane, rows in waiting.items():
        if not lane.has_room(rows):
            raise RequestError(StatusCode.UNAVAILABLE, "the queue is full; ask again later")


def _tell(job: Job, outcome: Arrays | Exception) -> None:
    if job.answer.done():  # whoever asked has gone
        return
    if isinstance(outcome, Exception):
        job.answer.set_exception(outcome)
    else:
        job.answer.set_result(outcome)
