"""Lanes, in which rows of like length wait, and what a version decodes of them at a time.

Every lane that has something to do decodes a batch; cores that are idle then decode a
second one of the lane whose rows wait longest. Whatever came meanwhile is the next
batch: nobody waits for a timer, and batches grow with the load.
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


@dataclass
class Job:
    """Rows of one request that go into one batch."""

    inputs: Arrays
    rows: int
    deadline: float  # of `time.monotonic`
    came: float = field(default_factory=time.monotonic)
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

    def begin(self) -> None:
        """Decodes a batch of every lane that decodes none, and more where cores are idle."""
        for lane in self.lanes:
            if not lane.batches:
                lane.begin()
        while len(self.batches) < self.limits.batches:
            lane = min(self.lanes, key=lambda lane: lane.waits_since)
            if lane.waits_since == math.inf:
                return
            lane.begin()


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
        self._since = 0.0  # the last batch ended, or the first of a time of work began
        self._pace = math.inf  # seconds a row, of the last full batches
        self.batches = 0  # that are being decoded
        workload.lanes.append(self)

    @property
    def waits_since(self) -> float:
        """When the first job that waits came; infinite where none waits."""
        return self._jobs[0].came if self._jobs else math.inf

    def has_room(self, rows: int) -> bool:
        """Whether so many rows more may wait: a request that is larger than what is left, too.

        Else a large one, that needs an empty queue, would never be taken among small ones.
        """
        limits, workload = self._limits, self._workload
        if not rows:
            return True
        if self._rows >= limits.queue_rows:
            return False
        if self._rows < limits.few_rows:
            return True
        seconds = self._rows * self._pace
        if workload.rows < limits.burst_rows:
            return seconds < limits.burst_seconds or self._pace == math.inf
        return seconds < limits.queue_seconds

    def add(self, job: Job) -> None:
        """Takes a job that there is room for."""
        if not self.batches:
            self._since = time.monotonic()
        self._jobs.append(job)
        self._count(job.rows)
        self._workload.rows += job.rows
        self._workload.begin()

    def begin(self) -> None:
        """Decodes what came first, if anybody still waits for it."""
        if batch := self._next_batch():
            self.batches += 1
            self._workload.batches.add(asyncio.create_task(self._decode(batch)))

    async def _decode(self, batch: list[Job]) -> None:
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        assert this is not None
        rows = sum(job.rows for job in batch)
        full = bool(self._jobs) or rows >= self._limits.batch_rows
        try:
            outcomes = await loop.run_in_executor(self._workload.pool, self._answer, batch)
        except Exception as error:  # of ours; each job must hear of it
            outcomes = [error] * len(batch)
        finally:
            self._workload.batches.discard(this)
            self._workload.rows -= rows
            self.batches -= 1
        self._keep_pace(rows, full)
        self._workload.begin()
        for job, outcome in zip(batch, outcomes, strict=True):
            _tell(job, outcome)

    def _keep_pace(self, rows: int, full: bool) -> None:
        """Learns of a batch that has ended; where two are decoded at once each counts for half.

        One that had room for more, and found nothing more, tells nothing of how soon a queue
        is answered: a row by itself takes several times what it takes among others.
        """
        now = time.monotonic()
        if full:
            taken = (now - self._since) / max(rows, 1)
            known = self._pace < math.inf
            self._pace = self._pace + NEWEST * (taken - self._pace) if known else taken
        self._since = now

    def _next_batch(self) -> list[Job]:
        batch: list[Job] = []
        rows = 0
        while self._jobs:
            job = self._jobs[0]
            if batch and (not self._joins or rows + job.rows > self._limits.batch_rows):
                break
            self._count(-self._jobs.popleft().rows)
            if not job.answer.done() and time.monotonic() >= job.deadline:
                _tell(job, _late())
            if job.answer.done():
                self._workload.rows -= job.rows
                continue
            batch.append(job)
            rows += job.rows
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

    def _count(self, rows: int) -> None:
        self._rows += rows
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
