"""What the tests of the server share: as a process, and of its versions alone."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

import pytest

from seq2seq_tfx.serving.server.batching import Batcher
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.metrics import Metrics
from seq2seq_tfx.serving.server.versions import Policy, Versions

from . import asking_batcher, toys


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    base = tmp_path_factory.mktemp("made")
    for version in (1, 2):
        toys.save(base, version, rounds=2000)
    return base


@pytest.fixture(scope="package")
def exports(tmp_path_factory):
    """Exports to copy from, by version."""
    base = tmp_path_factory.mktemp("made")
    return {version: toys.save(base, version) for version in (1, 2, 3)}


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "seq2seq"
    folder.mkdir()
    return folder


@pytest.fixture
def serving(base):
    """Runs a test's coroutine with the versions of that folder."""

    def run(test, policy=None, settle=0.0):
        async def main():
            with ThreadPoolExecutor(4) as pool:
                metrics = Metrics()

                def new_batcher(servable):
                    return Batcher(servable.run, Limits(), pool, metrics)

                versions = Versions("toy", base, policy or Policy(), new_batcher, settle, metrics)
                try:
                    await test(versions)
                finally:
                    await versions.close(60.0)
                assert versions.available == []

        asyncio.run(main())

    return run


@pytest.fixture
def model():
    return asking_batcher.Model()


@pytest.fixture
def asking(model):
    """Runs a test's coroutine with a way to ask a batcher of the model."""
    with ThreadPoolExecutor(8) as pool:
        yield functools.partial(asking_batcher.run, model, pool)
