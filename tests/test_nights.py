"""Five nights, unattended, of a small job: `make nights` in one process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent / "scripts" / "nights.py"


def test_a_bad_night_does_no_harm_and_what_is_served_is_known(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--one-process", "--folder", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"(?m)^night \d: .*", done.stdout) == [
        "night 1: pushed",
        "night 2: pushed",
        "night 3: data gate",
        "night 4: release gate",
        "night 5: pushed",
    ]
    assert re.findall(r"lineage: spans (.*)", done.stdout) == [
        "1", "2 <- 1", "2 <- 1", "2 <- 1", "5 <- 2 <- 1",
    ]  # fmt: skip
    # What older runs alone needed is gone, and a run after it comes from the cache.
    assert "after gc: code 0, run again: Baseline\n" in done.stdout
