"""gRPC's server, taking calls as fast as they come.

`grpc.aio` asks gRPC's core for one call, waits until the event loop hears of it, and then asks
for the next. On busy cores that is some 2,000 calls a second, however little is done for each;
what comes faster waits unread, for half a second and more, and is dropped once a thousand wait.
Here `AT_ONCE` calls have been asked for before they come. The library has no setting for it, so
this stands on names of its own that are not public; its tests fail where a release no longer
asks for calls or ends by them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from grpc._cython import cygrpc
from grpc.aio import _server

AT_ONCE = 128  # calls
TURNS = 10  # of the event loop, in which it surely takes one


class GrpcServer(_server.Server):
    """What `grpc.aio.server` makes, but for how many calls it asks for at a time.

    Args:
      options: of gRPC's core, by name.
    """

    def __init__(self, options: Sequence[tuple[str, Any]] = ()):
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(self._loop, None, (), (), tuple(options), None)


class _Core(cygrpc.AioServer):
    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._asked_for: deque[asyncio.Task[Any]] = deque()

    async def _request_call(self) -> Any:
        """The next call, which may have come already."""
        while len(self._asked_for) < AT_ONCE:
            self._asked_for.append(asyncio.create_task(super()._request_call()))
        return await self._asked_for.popleft()

    async def shutdown(self, grace: float | None) -> None:
        """What has come by now is still looked at, a call every few turns of the loop."""
        for turn in range(TURNS * AT_ONCE):
            # A busy loop hears only now of what has come.
            if turn > TURNS and not any(task.done() for task in self._asked_for):
                break
            await asyncio.sleep(0)
        await super().shutdown(grace)

    async def _server_main_loop(self, started: asyncio.Future[None]) -> None:
        try:
            await super()._server_main_loop(started)
        finally:
            # Core takes no more calls: what was asked for fails, or is a call that nobody will
            # look at, whose client is told so once it is forgotten here.
            left, self._asked_for = self._asked_for, deque()
            await asyncio.gather(*left, return_exceptions=True)
