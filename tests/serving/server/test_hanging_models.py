"""A model that hangs holds up itself alone."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from seq2seq_tfx.serving.server.batching import Batcher
from seq2seq_tfx.serving.server.errors import RequestError
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.metrics import Metrics
from seq2seq_tfx.serving.server.servable import Servable
from seq2seq_tfx.serving.server.versions import Policy, State, Version, Versions

from . import toys
from .asking_versions import ask, states


async def eventually(holds):
    """Waits, for 20 s at most."""
    for _ in range(2_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


def test_a_version_that_hangs_while_it_is_loaded_is_refused_and_holds_nothing_up(
    serving, base, exports, monkeypatch
):
    toys.push(exports[1], base, 1)
    warm_up, close, goes_on, closed = Servable.warm_up, Servable.close, threading.Event(), []

    def hangs(self):
        if self.version == 2:
            assert goes_on.wait(60)
        warm_up(self)

    def told(self):
        closed.append(self.version)
        close(self)

    monkeypatch.setattr(Servable, "warm_up", hangs)
    monkeypatch.setattr(Servable, "close", told)

    async def test(versions):
        await versions.refresh()
        versions._loader._seconds = 0.5
        toys.push(exports[2], base, 2)
        try:
            await versions.refresh()
            assert "within 0.5 s" in versions.known(2)[0].error
            await versions.reload(Policy(labels={"stable": 1}))
            assert await ask(versions, label="stable") == "v1"
            assert closed == []
        finally:
            goes_on.set()
        await eventually(lambda: closed)  # what nobody waits for any more
        assert closed == [2]

    serving(test)


def test_an_old_version_is_unloaded_while_a_new_one_hangs(serving, base, exports, monkeypatch):
    toys.push(exports[1], base, 1)
    warm_up, hanging, goes_on = Servable.warm_up, threading.Event(), threading.Event()

    def hangs(self):
        if self.version == 3:
            hanging.set()
            assert goes_on.wait(60)
        warm_up(self)

    monkeypatch.setattr(Servable, "warm_up", hangs)

    async def test(versions):
        await versions.refresh()
        with versions.using():
            toys.push(exports[2], base, 2)
            await versions.refresh()
            toys.push(exports[3], base, 3)
            loading = asyncio.create_task(versions.refresh())
            await eventually(hanging.is_set)
            assert states(versions)[1] == "UNLOADING"
        try:
            await eventually(lambda: states(versions)[1] == "END")
        finally:
            goes_on.set()
            await loading

    serving(test)


def test_a_batch_that_hangs_holds_up_no_end(tmp_path):
    goes_on = threading.Event()

    def run(signature, inputs):
        assert goes_on.wait(60)
        return inputs

    async def main():
        with ThreadPoolExecutor(1) as pool:
            metrics = Metrics()
            versions = Versions("toy", tmp_path, Policy(), lambda _: None, 0.0, metrics)
            batcher = Batcher(run, Limits(), pool, metrics)
            versions._known[1] = Version(1, State.AVAILABLE, batcher=batcher)
            inputs = {"text": np.array([b"a"], object)}
            with pytest.raises(RequestError, match="deadline"):
                await batcher.answer("any", True, inputs, time.monotonic() + 0.1)
            await asyncio.wait_for(versions.close(0.1), 30)
            assert batcher.is_busy
            goes_on.set()

    asyncio.run(main())
