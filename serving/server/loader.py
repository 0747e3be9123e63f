"""The thread that loads versions and looks at their files; one that hangs is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .priority import give_way
from .servable import BrokenModel, Servable

Value = TypeVar("Value")


class Loader:
    """Keeps loading and looking at files away from the threads that answer.

    Args:
      seconds: that a version may take to load and to answer its warm-up.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._pool = _new_pool()

    async def run(self, function: Callable[..., Value], *arguments: object) -> Value:
        """Calls a function in the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, *arguments)

    async def load(self, number: int, directory: Path) -> Servable:
        """Loads a version and warms it up.

        Args:
          number: of the version.
          directory: where it is.

        Raises:
          BrokenModel: it cannot be, or takes longer than it may. No thread can be ended,
            so what hangs goes on, and what it loads is closed once it is done.
        """
        loading = self._pool.submit(_loaded, number, directory)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(loading), self._seconds)
        except asyncio.TimeoutError:
            loading.add_done_callback(_close)
            self._pool.shutdown(wait=False)
            self._pool = _new_pool()
            raise BrokenModel(
                f"{directory} was not loaded and warmed up within {self._seconds:g} s"
            ) from None
        except asyncio.CancelledError:
            loading.add_done_callback(_close)
            raise

    def close(self) -> None:
        """Takes nothing more; waits for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _new_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="load", initializer=give_way)


def _close(loading: Future[Servable]) -> None:
    """Gives back what was loaded for nobody."""
    if not loading.cancelled() and not loading.exception():
        loading.result().close()


def _loaded(number: int, directory: Path) -> Servable:
    servable = Servable(number, directory)
    try:
        servable.warm_up()
    except Exception as error:  # nothing that a model does ends the server
        servable.close()
        if isinstance(error, BrokenModel):
            raise
        raise BrokenModel(f"{directory} cannot be warmed up: {error!r}") from error
    return servable
