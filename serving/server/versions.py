"""Which versions of the model answer: loaded beside each other, switched, unloaded.

A version that cannot be loaded or does not answer its warm-up is refused, and the
next older one takes its place, until its files change.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from grpc import StatusCode

from .batching import Batcher
from .errors import RequestError, invalid
from .loader import Loader
from .metrics import Metrics
from .servable import BrokenModel, Servable
from .version_folder import Content, content_of, versions_in

LOG = logging.getLogger(__name__)
PATIENCE = 30.0  # seconds that a reload waits for a version that is being copied
UNLOADING_SECONDS = 5.0  # that a version is waited for which is wanted again
LOAD_SECONDS = 300.0  # that a version may take to load and warm up, by default


class State(Enum):
    """Of a version, with the numbers of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Policy:
    """Which versions are wanted, and what they are called.

    `only` names versions; where it is None, the newest `latest` are wanted, or all
    there are where that is None.
    """

    latest: int | None = 1
    only: frozenset[int] | None = None
    labels: dict[str, int] = field(default_factory=dict)


@dataclass
class Version:
    """What is known of one version."""

    number: int
    state: State = State.START
    error: str = ""
    servable: Servable | None = None
    batcher: Batcher | None = None
    requests: int = 0
    refused: Content | None = None  # what was refused; tried again once it differs
    seen: Content | None = None  # what lay there when it was looked at last
    since: float = math.inf  # of `time.monotonic`, when that was first seen


class Versions:
    """The versions of one model.

    Args:
      name: of the model.
      base: the folder of its versions.
      policy: which of them are wanted.
      new_batcher: gives a loaded version its queues.
      settle_seconds: how long the files of a version must have been left alone
        before it is loaded.
      metrics: where versions are told.
      load_seconds: how long a version may take to load and to answer its warm-up.
    """

    def __init__(
        self,
        name: str,
        base: Path,
        policy: Policy,
        new_batcher: Callable[[Servable], Batcher],
        settle_seconds: float,
        metrics: Metrics,
        load_seconds: float = LOAD_SECONDS,
    ):
        self.name = name
        self.base = base
        self.policy = policy
        self.labels: dict[str, int] = {}
        self._waiting: dict[str, int] = {}  # the labels whose versions did not answer last
        self._new_batcher = new_batcher
        self._settle_seconds = settle_seconds
        self._metrics = metrics
        self._known: dict[int, Version] = {}
        self._lock = asyncio.Lock()
        self._loader = Loader(load_seconds)
        self._unloading: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> list[int]:
        """The versions that answer, newest first."""
        numbers = (n for n, known in self._known.items() if known.state is State.AVAILABLE)
        return sorted(numbers, reverse=True)

    def known(self, number: int | None = None) -> list[Version]:
        """All versions ever seen, or the one that was asked for, newest first.

        Raises:
          RequestError: there is none such.
        """
        if number is None:
            found = sorted(self._known.values(), key=lambda version: -version.number)
        else:
            found = [self._known[number]] if number in self._known else []
        if not found:
            which = "any versions" if number is None else f"version {number}"
            raise RequestError(StatusCode.NOT_FOUND, f"Could not find {which} of model {self.name}")
        return found

    @contextmanager
    def using(self, number: int | None = None, label: str | None = None) -> Iterator[Version]:
        """Lends a version, which stays loaded so long.

        Args:
          number: of the version; None for the newest that answers.
          label: in place of the number.

        Raises:
          RequestError: NOT_FOUND where it does not answer; INVALID_ARGUMENT where
            nothing has that label.
        """
        if label is not None:
            number = self._labelled(label)
        if number is None:
            number = next(iter(self.available), None)
        version = self._known.get(number) if number is not None else None
        if version is None or version.state is not State.AVAILABLE:
            which = "Latest" if number is None else f"Specific({number})"
            raise RequestError(
                StatusCode.NOT_FOUND, f"Servable not found for request: {which}({self.name})"
            )
        version.requests += 1
        try:
            yield version
        finally:
            version.requests -= 1

    async def refresh(self, patience: float = 0.0) -> None:
        """Looks at the folder, loads what is wanted, then unloads what is not.

        Labels of the policy go to their versions as soon as those answer.

        Args:
          patience: seconds to wait for a version that is being copied.
        """
        async with self._lock:
            wanted = await self._load_wanted(patience)
            for label, number in self.policy.labels.items():
                if number in self.available:
                    self.labels[label] = number
            self._let_go(wanted)
            waiting = self._missing(self.policy)
            if waiting and waiting != self._waiting:  # once, and not at every look
                LOG.warning("labels wait for their versions", extra={"error": str(waiting)})
            self._waiting = waiting

    async def follow(self, policy: Policy) -> None:
        """Changes which versions are wanted, from the next look at the folder on.

        A label whose version does not answer yet stays where it is so long.
        """
        async with self._lock:
            self.policy = policy
            self.labels = {name: n for name, n in self.labels.items() if name in policy.labels}

    async def reload(self, policy: Policy) -> None:
        """Changes which versions are wanted, and waits until they answer.

        All of it is done, or nothing, whether or not who asked waits for the end.

        Raises:
          RequestError: FAILED_PRECONDITION where a label names a version that does
            not answer then.
        """
        await asyncio.shield(asyncio.create_task(self._reload(policy)))

    async def _reload(self, policy: Policy) -> None:
        async with self._lock:
            before, self.policy = self.policy, policy
            try:
                wanted = await self._load_wanted(PATIENCE)
                if missing := self._missing(policy):
                    raise RequestError(
                        StatusCode.FAILED_PRECONDITION,
                        f"expected labels of versions that answer, received {missing}; "
                        f"these answer: {self.available}",
                    )
            except BaseException:
                self.policy = before  # the next look unloads what was loaded for nothing
                raise
            self.labels = dict(policy.labels)
            self._let_go(wanted)

    async def close(self, seconds: float) -> None:
        """Unloads all, after the requests and batches that use them have ended.

        Args:
          seconds: to wait for them, and for a version that is being loaded; what is not
            done by then goes on in its thread.
        """
        end = time.monotonic() + seconds
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._lock.acquire(), seconds)
        for number in self.available:
            self._unload(self._known[number])
        if self._unloading:
            await asyncio.wait(self._unloading, timeout=max(end - time.monotonic(), 0.0))
        self._loader.close()

    async def _load_wanted(self, patience: float) -> list[int] | None:
        """Loads what is wanted; gives what of it answers, None while some is being copied."""
        end = time.monotonic() + patience
        present = await self._loader.run(versions_in, self.base)
        wanted: list[int] = []
        told: set[int] = set()
        whole = True  # whether all that is wanted now answers
        for number in present:
            if not self._wants(number, len(wanted)):
                continue
            version = self._known.setdefault(number, Version(number))
            if version.state is State.UNLOADING:
                await asyncio.wait(self._unloading, timeout=UNLOADING_SECONDS)
                if version.state is State.UNLOADING:  # a batch hangs: another time
                    whole = False
                    continue
            while version.state is not State.AVAILABLE:
                settled = await self._load(version)
                if settled or time.monotonic() >= end:
                    break
                if number not in told:
                    told.add(number)
                    LOG.info("waiting until it is copied", extra={"version": number})
                await asyncio.sleep(self._settle_seconds / 4)
            if version.state is State.AVAILABLE:
                wanted.append(number)
            elif version.state is State.START:
                whole = False
        return wanted if whole else None

    def _let_go(self, wanted: list[int] | None) -> None:
        """Unloads what is neither wanted nor labelled.

        Nothing gives way to a version that is being copied, and what was pushed away last
        is kept where nothing would be left.
        """
        if not wanted:
            return
        for number in self.available:
            if number not in wanted and number not in self.labels.values():
                self._unload(self._known[number])

    def _missing(self, policy: Policy) -> dict[str, int]:
        """The labels of a policy whose versions do not answer."""
        return {name: n for name, n in policy.labels.items() if n not in self.available}

    def _wants(self, number: int, newer: int) -> bool:
        """Whether a version is wanted, where so many newer ones answer."""
        if number in self.policy.labels.values():
            return True
        if self.policy.only is not None:
            return number in self.policy.only
        return self.policy.latest is None or newer < self.policy.latest

    async def _load(self, version: Version) -> bool:
        """Loads a version; False where it must be left alone for a while."""
        directory = self.base / str(version.number)
        try:
            content = await self._loader.run(content_of, directory)
        except OSError as error:  # it may also have gone while we looked
            if version.refused is None:
                version.error = f"its files cannot be read: {error}"
            return True
        if content == version.refused:
            return True
        if content != version.seen:
            version.seen, version.since = content, time.monotonic()
        # The second for clocks that differ: files of a server's may be of tomorrow.
        alone = time.monotonic() - version.since >= self._settle_seconds
        if not content.is_settled(self._settle_seconds) and not alone:
            return False
        version.state, version.error = State.LOADING, ""
        LOG.info("loading", extra={"version": version.number})
        try:
            servable = await self._loader.load(version.number, directory)
        except BrokenModel as error:
            version.state, version.error, version.refused = State.END, str(error), content
            LOG.error("refused", extra={"version": version.number, "error": str(error)})
            return True
        version.servable, version.batcher = servable, self._new_batcher(servable)
        version.state, version.refused = State.AVAILABLE, None
        self._metrics.version_available.labels(self.name, version.number).set(1)
        LOG.info("available", extra={"version": version.number})
        return True

    def _unload(self, version: Version) -> None:
        version.state = State.UNLOADING
        self._metrics.version_available.labels(self.name, version.number).set(0)
        LOG.info("unloading", extra={"version": version.number})
        task = asyncio.create_task(self._end(version))
        self._unloading.add(task)
        task.add_done_callback(self._unloading.discard)

    async def _end(self, version: Version) -> None:
        # A batch may outlive the requests that it was decoded for.
        while version.requests or (version.batcher and version.batcher.is_busy):
            await asyncio.sleep(0.02)
        servable, version.servable, version.batcher = version.servable, None, None
        if servable is not None:
            await asyncio.to_thread(servable.close)  # not behind a version that hangs
        version.state = State.END
        LOG.info("unloaded", extra={"version": version.number})

    def _labelled(self, label: str) -> int:
        if label not in self.labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return self.labels[label]
