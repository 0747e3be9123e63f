"""What the tests of the server as a process share."""

import pytest

from . import toys


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    base = tmp_path_factory.mktemp("made")
    for version in (1, 2):
        toys.save(base, version, rounds=2000)
    return base
