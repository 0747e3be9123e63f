"""Lanes, in which rows of like length wait, and what a version decodes of them at a time.

Every lane that has something to do decodes a batch; cores that are idle then decode more
of the lane whose rows wait longest. Whatever came meanwhile is the next batch: nobody
waits for a timer, and batches grow with the load.
"""

from __future__ import annotations

import asyncio
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

NEWEST = 0.3  # what a full batch counts for in the pace
SLOW = 3.0  # seconds after which a batch no longer keeps its lane from another
TICK = 0.01  # seconds by which a timer may be early


@dataclass(eq=False)
class Job:
    """Rows of one request that go into one batch."""

    inputs: Arrays
    rows: int
    deadline: float  # of `time.monotonic`
    came: float = field(default_factory=time.monotonic)
    waits: bool = False  # in a lane
    answer: asyncio.Future[Arrays] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Workload:
    """What a version has in hand, in all its lanes.

    Args:
      limits: of batches and queues.
      pool: the threads.
      metrics: where batches are counted.
    """

    def __init__(self, limits: Limits, pool: Executor, metrics: Metrics):
        self.limits = limits
        self.pool = pool
        self.metrics = metrics
        self.lanes: list[Lane] = []
        self.rows = 0  # that wait or are being decoded
        self.batches: set[asyncio.Task[None]] = set()  # that are being decoded
        self._is_called = False

    def begin_soon(self) -> None:
        """Begins once all that has come together waits, so that it is one batch."""
        if not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self.begin)

    def begin(self) -> None:
        """Decodes a batch of every lane that decodes none, and more where cores are idle.

        One that takes very long counts for neither: it may hang.
        """
        self._is_called = False
        quick = 0
        for lane in self.lanes:
            if not lane.quick_batches():
                lane.begin()
            quick += lane.quick_batches()
        while quick < self.limits.batches:
            lane = min(self.lanes, key=lambda lane: lane.waits_since)
            if lane.waits_since == math.inf:
                return
            quick += lane.begin()


class Lane:
    """A bounded queue, and the batches that empty it.

    Args:
      run: answers a batch; it is called in a thread.
      joins: whether jobs may share a batch.
      workload: of all lanes; this one becomes one of them.
    """

    def __init__(self, run: Run, joins: bool, workload: Workload):
        self._run = run
        self._joins = joins
        self._workload = workload
        self._limits = workload.limits
        self._jobs: deque[Job] = deque()
        self._rows = 0  # that wait
        self._begun: list[float] = []  # when what is being decoded was
        self._ended = 0.0  # the last full batch
        self._pace = 0.0  # seconds a row where batches are full; 0 until it is known
        workload.lanes.append(self)

    @property
    def waits_since(self) -> float:
        """When the first job came that may be begun; infinite where none is."""
        may_begin = self._jobs and len(self._begun) < self._limits.batches
        return self._jobs[0].came if may_begin else math.inf

    def quick_batches(self) -> int:
        """How many of its batches are being decoded, and have not been for very long."""
        now = time.monotonic()
        return sum(now - begun < SLOW for begun in self._begun)

    def has_room(self) -> bool:
        """Whether a job may wait, however many rows it has.

        Else a large one, that needs an empty queue, would never be taken among small ones.
        The rules are those of `Limits`.
        """
        limits = self._limits
        if self._rows >= limits.queue_rows:
            return False
        if self._rows < limits.few_rows:
            return True
        is_burst = self._workload.rows < limits.burst_rows
        most = max(limits.queue_seconds, limits.burst_seconds if is_burst else 0)
        return self._rows * self._pace < most

    def add(self, job: Job) -> None:
        """Takes a job that there is room for; it must be waited for by `answered`."""
        self._jobs.append(job)
        self._count(job, 1)
        self._workload.begin_soon()

    async def answered(self, job: Job) -> Arrays:
        """Waits for the answer of a job, until its deadline at most."""
        # The loop's clock is that of the deadline.
        alarm = asyncio.get_running_loop().call_at(job.deadline, _tell, job, _late())
        try:
            return await job.answer
        finally:
            alarm.cancel()
            if job.waits:  # and nobody for its answer
                self._jobs.remove(job)
                self._count(job, -1)

    def begin(self) -> bool:
        """Decodes what came first, if anybody waits for it and no limit forbids it."""
        batch = self._next_batch() if self.waits_since < math.inf else []
        if batch:
            begun = time.monotonic()
            self._begun.append(begun)
            self._workload.batches.add(asyncio.create_task(self._decode(batch, begun)))
        return bool(batch)

    async def _decode(self, batch: list[Job], begun: float) -> None:
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        assert this is not None
        rows = sum(job.rows for job in batch)
        alarm = loop.call_later(SLOW + TICK, self._workload.begin)
        try:
            outcomes = await loop.run_in_executor(self._workload.pool, self._answer, batch)
        except Exception as error:  # of ours; each job must hear of it
            outcomes = [error] * len(batch)
        finally:
            alarm.cancel()
            self._begun.remove(begun)
            self._workload.batches.discard(this)
            self._workload.rows -= rows
        self._keep_pace(rows, begun)
        self._workload.begin()
        for job, outcome in zip(batch, outcomes, strict=True):
            _tell(job, outcome)

    def _keep_pace(self, rows: int, begun: float) -> None:
        """Learns of a batch that has ended; where two are decoded at once each counts for half.

        A row by itself takes several times what it takes among others, so a batch that had
        room for many more only tells how slow its lane is not.
        """
        now, most = time.monotonic(), self._limits.batch_rows
        if not self._joins or rows > most // 2:
            taken = (now - max(begun, self._ended)) / max(rows, 1)
            weight = NEWEST * min(rows / most, 1) if self._joins else NEWEST
            self._pace += (weight if self._pace else 1) * (taken - self._pace)
            self._ended = now
        elif rows:
            self._pace = min(self._pace, (now - begun) / rows)

    def _next_batch(self) -> list[Job]:
        batch: list[Job] = []
        rows = 0
        while self._jobs:
            job = self._jobs[0]
            if batch and (not self._joins or rows + job.rows > self._limits.batch_rows):
                break
            self._jobs.popleft()
            self._count(job, -1)
            if not job.answer.done() and time.monotonic() >= job.deadline:
                _tell(job, _late())
            if not job.answer.done():
                batch.append(job)
                rows += job.rows
        self._workload.rows += rows
        return batch

    def _answer(self, batch: list[Job]) -> list[Arrays | Exception]:
        """Runs in a thread: answers all jobs, together or else each alone."""
        self._workload.metrics.batch_rows.observe(sum(job.rows for job in batch))
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

    def _count(self, job: Job, sign: int) -> None:
        job.waits = sign > 0
        rows = sign * job.rows
        self._rows += rows
        self._workload.rows += rows
        self._workload.metrics.queue_rows.inc(rows)


def _late() -> RequestError:
    return RequestError(StatusCode.DEADLINE_EXCEEDED, "no answer before the deadline")


def _tell(job: Job, outcome: Arrays | Exception) -> None:
    if job.answer.done():  # whoever asked has gone
        return
    if isinstance(outcome, Exception):
        job.answer.set_exception(outcome)
    else:
        job.answer.set_result(outcome)
