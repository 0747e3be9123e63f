"""What all tests share: one arithmetic for all processes of a test, and a browser.

The command sets `TF_ENABLE_ONEDNN_OPTS` where it is imported, which is too late for
TensorFlow in this process and not for those that a test starts: they would round
differently. Whole runs (`jobs`) have what the command sets.
"""

import os

import pytest

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


@pytest.fixture(scope="module")
def browser():
    from .browsing import chromium  # brings selenium, which few tests need

    with chromium() as driver:
        yield driver
