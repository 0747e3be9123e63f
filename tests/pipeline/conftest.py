"""What the tests of this folder set around themselves."""

from pathlib import Path

import pytest


@pytest.fixture
def pairs_file(tmp_path, monkeypatch):
    """The data of `GOOD`, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("a\tb\n")
