"""The server as a whole: what it listens on, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from aiohttp import web

from .batching import BANDS, Batcher
from .errors import RequestError
from .grpc_server import GrpcServer
from .grpc_service import GrpcService
from .limits import Limits
from .metrics import Metrics
from .model_config import ModelConfigError, read_file
from .priority import give_way
from .rest_service import RestService
from .servable import Servable
from .tokens import counting
from .try_service import TryPage
from .version_folder import versions_in
from .versions import LOAD_SECONDS, Policy, Versions

LOG = logging.getLogger(__name__)
# Lanes that answer at once; others wait. Every band of a few signatures has its own, and idle
# cores have `Limits.batches` more.
THREADS = 8 * BANDS
LAST_SECONDS = 5.0  # of the time to end: for versions to be unloaded


class CannotServe(Exception):
    """The server cannot start."""


@dataclass(frozen=True)
class ServerSettings:
    """What is served, and where.

    `base` is the folder of the versions of the model `name`. Ports that are 0 are
    chosen by the system. `poll_seconds` is how often the folder is looked at, and how
    long a new version must have been left alone before it is loaded.
    """

    base: Path
    name: str
    policy: Policy = field(default_factory=Policy)
    model_config: Path | None = None  # where the policy comes from, read again as it changes
    host: str = "127.0.0.1"
    grpc_port: int = 8500
    rest_port: int = 8501
    limits: Limits = field(default_factory=Limits)
    page: TryPage | None = None  # for people
    poll_seconds: float = 1.0
    load_seconds: float = LOAD_SECONDS  # that a version may take to load and warm up
    grace_seconds: float = 30.0  # to answer what has come, once it is to end


async def serve(settings: ServerSettings) -> None:
    """Serves until SIGTERM or SIGINT, then answers what has come and ends.

    The process has ended after `grace_seconds`, whatever a model may be doing.

    Args:
      settings: see there.

    Raises:
      CannotServe: no version can be served, or a port is taken.
    """
    _raise_file_limit()
    # What is imported lives as long as we do: for the collector to walk through it takes a fifth
    # of a second, in which nobody is answered.
    gc.collect()
    gc.freeze()
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        _end_within(settings.grace_seconds)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    metrics, limits = Metrics(), settings.limits
    threads = THREADS + limits.batches
    pool = ThreadPoolExecutor(threads, thread_name_prefix="answer", initializer=give_way)

    def new_batcher(servable: Servable) -> Batcher:
        return Batcher(counting(servable, metrics), limits, pool, metrics)

    versions = Versions(
        settings.name,
        settings.base,
        settings.policy,
        new_batcher,
        settings.poll_seconds,
        metrics,
        settings.load_seconds,
    )
    if not await _started(versions, stop):
        await versions.close(settings.grace_seconds)
        return
    if not versions.available:
        _end_within(LAST_SECONDS)
        raise CannotServe(_why_nothing(versions))

    rest = RestService(versions, limits, metrics, settings.page)
    # A client that goes away takes its request out of the queue.
    runner = web.AppRunner(
        rest.application(),
        auto_decompress=False,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=settings.grace_seconds,
    )
    server = GrpcServer(
        [
            ("grpc.so_reuseport", 0),  # a second server must not share the port in silence
            # Above ours, so that a request a little too large is told what the limit is.
            ("grpc.max_receive_message_length", 2 * limits.request_bytes),
            ("grpc.max_send_message_length", -1),
        ]
    )
    GrpcService(versions, limits, metrics).add_to(server)
    watch = asyncio.create_task(_watch(versions, settings))
    try:
        await runner.setup()
        grpc_port, rest_port = await _listen(settings, server, runner)
        print(
            f"serving '{settings.name}' version {versions.available[0]} of {settings.base}: "
            f"gRPC {_in_url(settings.host)}:{grpc_port}, "
            f"REST http://{_in_url(settings.host)}:{rest_port}",
            flush=True,
        )
        await stop.wait()
        LOG.info("stopping")
        rest.is_stopping = True
    except CannotServe:
        _end_within(LAST_SECONDS)  # a version may hang that was about to be loaded
        raise
    finally:
        watch.cancel()
        for_requests = max(settings.grace_seconds - LAST_SECONDS, settings.grace_seconds / 2)
        ending = asyncio.gather(server.stop(for_requests), runner.cleanup())
        await asyncio.wait({ending}, timeout=for_requests)
        await asyncio.gather(watch, return_exceptions=True)
        await versions.close(settings.grace_seconds)
        pool.shutdown(wait=False, cancel_futures=True)
    LOG.info("stopped")


def _end_within(seconds: float) -> None:
    """Ends the process, if it has not ended by then: no thread that hangs can be ended alone."""

    def end() -> None:
        LOG.error("ended, though a model has not come to its end")
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


async def _started(versions: Versions, stop: asyncio.Event) -> bool:
    """Loads what is there, however long it is being copied; False where we are to stop first."""
    loading = asyncio.create_task(versions.refresh(math.inf))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (loading, stopping):
        task.cancel()
    await asyncio.wait({loading, stopping})
    if loading.cancelled():
        return False
    loading.result()
    return True


async def _listen(
    settings: ServerSettings, server: grpc.aio.Server, runner: web.AppRunner
) -> tuple[int, int]:
    """Opens both ports; gives their numbers."""
    host = _in_url(settings.host)
    try:
        grpc_port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
        if not grpc_port:
            raise OSError("it cannot be bound")
    except (OSError, RuntimeError) as error:
        raise CannotServe(f"gRPC, {settings.host}:{settings.grpc_port}: {error}") from error
    site = web.TCPSite(runner, settings.host, settings.rest_port, reuse_port=False)
    try:
        await site.start()
    except OSError as error:
        raise CannotServe(f"REST, {settings.host}:{settings.rest_port}: {error}") from error
    await server.start()
    return grpc_port, runner.addresses[0][1]


async def _watch(versions: Versions, settings: ServerSettings) -> None:
    """Follows the folder of versions, and the model configuration."""
    known, told = settings.policy, ""
    while True:
        await asyncio.sleep(settings.poll_seconds)
        try:
            if settings.model_config:
                policy = read_file(settings.model_config, settings.name, settings.base)
                if policy != known:
                    known = policy
                    await versions.follow(policy)
                told = ""
        except ModelConfigError as error:
            if str(error) != told:  # once, and not every second
                told = str(error)
                LOG.error("the model configuration is refused", extra={"error": told})
        try:
            await versions.refresh()
        except Exception:
            LOG.exception("the folder of versions cannot be followed")


def _why_nothing(versions: Versions) -> str:
    told = f"expected a version of '{versions.name}' that can be served in {versions.base}, found "
    try:
        return told + "; ".join(f"{v.number}: {v.error}" for v in versions.known())
    except RequestError:  # no version was ever wanted
        there = ", ".join(map(str, versions_in(versions.base)))
        return told + (f"none that is asked for: there are {there}" if there else "none")


def _in_url(host: str) -> str:
    """A host as it stands before a port: an address of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _raise_file_limit() -> None:
    """A thousand connections need as many descriptors."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
