"""The English package descriptions of Debian or Ubuntu that this machine's apt has or can fetch.

They are in apt's Translation-en indices: the lists that the machine has, or else those that
apt, run as the user who asks, fetches into a temporary folder from the machine's own sources.
The machine's lists and settings stay as they were. Only the components that hold free
software are read, for the descriptions of others may not be free.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .common import DataUnavailable, Report

ORIGINS = {"Debian", "Ubuntu"}
COMPONENTS = {"main", "contrib", "universe"}

_TARGET = re.compile(r"^Acquire::IndexTargets::(deb(?:-src)?::[^:\s]+)", re.MULTILINE)


@dataclass(frozen=True)
class Index:
    """A Translation-en index of apt.

    Args:
        release: Where it is from, in words.
        text: What it holds.
    """

    release: str
    text: str


def english_indices(report: Report) -> list[Index]:
    """Reads the indices that the machine has, or those that apt can fetch.

    Raises:
        DataUnavailable: There are none.
    """
    if not (shutil.which("apt-get") and shutil.which("apt-config")):
        raise DataUnavailable(
            "apt, the package manager of Debian and Ubuntu",
            "this machine has none",
            "run this on Debian or Ubuntu, and copy the folder that it writes",
        )
    with tempfile.TemporaryDirectory(prefix="seq2seq-data-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # run by root, apt downloads as a user of its own
        settings = folder / "apt.conf"
        settings.write_text(_settings(), "utf-8")
        # Without a place for its own caches, apt, run by root, would write the machine's.
        options = ["-c", str(settings), "-o", f"Dir::Cache={folder}"]
        options += ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]
        report("reading the package lists of this machine")
        if indices := _listed(options, report):
            return indices
        report("they have no English descriptions: apt fetches those, for this alone")
        options += ["-o", f"Dir::State={folder}", "-o", f"Dir::State::Lists={folder / 'lists'}"]
        update = _run("apt-get", *options, "-qq", "update")
        said = [line for line in update.stderr.splitlines() if line.startswith(("E:", "W:"))]
        if indices := _listed(options, report):
            for line in said:
                report(f"apt said: {line}")
            return indices
    raise DataUnavailable(
        "English package descriptions of Debian or Ubuntu",
        f"apt has none and fetched none: {' '.join(said[-3:]) or 'it said nothing'}",
        "check the network and apt's sources, then try again",
    )


def _settings() -> str:
    """Returns settings that have apt fetch English descriptions, and nothing else done."""
    known = _run("apt-config", "dump", "Acquire::IndexTargets").stdout
    others = sorted(set(_TARGET.findall(known)) - {"deb::Translations"})
    lines = ["#clear APT::Update;", "#clear Acquire::Languages;", 'Acquire::Languages "en";']
    lines += [f'Acquire::IndexTargets::{other}::DefaultEnabled "false";' for other in others]
    lines += ['Acquire::IndexTargets::deb::Translations::DefaultEnabled "true";']
    lines += [f'Acquire::{method}::Timeout "30";' for method in ("http", "https")]
    return "\n".join(lines) + "\n"


def _listed(options: list[str], report: Report) -> list[Index]:
    """Reads the English indices that apt has with these options, in a lasting order."""
    wanted = ("Created-By: Translations", "Language: en")
    found = {
        tuple(target.get(key, "") for key in ("Origin", "Release", "Component", "Version")): target
        for target in records(_run("apt-get", *options, "indextargets", *wanted).stdout)
    }
    indices = []
    for (origin, release, component, version), target in sorted(found.items()):
        name = f"{origin or 'an unknown origin'} {release}/{component}"
        if origin not in ORIGINS or component.rpartition("/")[2] not in COMPONENTS:
            report(f"left out, as it is not known to be free: {name}")
            continue
        if version:
            name += f" {version}"
        path = Path(target["Filename"])
        if date := _release_date(path):
            name += f", release file of {date}"
        if text := _read(path):
            indices.append(Index(name, text))
    return indices


def _read(path: Path) -> str:
    """Reads a list of apt, compressed in whatever way."""
    # The helper lies beside apt's methods.
    methods = _run("apt-config", "shell", "FOLDER", "Dir::Bin::methods/f").stdout
    helper = Path(methods.partition("'")[2].partition("'")[0]).with_name("apt-helper")
    return _run(str(helper), "cat-file", str(path)).stdout


def _release_date(path: Path) -> str:
    """Returns the date of the release file that an index belongs to, "" if there is none."""
    for file in sorted(path.parent.glob("*Release"), key=lambda file: -len(file.name)):
        stem = file.name.removesuffix("InRelease").removesuffix("Release")
        if path.name.startswith(stem):
            with suppress(OSError):
                dates = re.findall(r"(?m)^Date: *(.+?) *$", file.read_text("utf-8", "replace"))
                return dates[0] if dates else ""
    return ""


def records(text: str) -> Iterator[dict[str, str]]:
    """Reads records of fields; continued lines keep their indentation."""
    for block in text.split("\n\n"):
        record: dict[str, str] = {}
        name = ""
        for line in block.split("\n"):
            if line.startswith((" ", "\t")):
                record[name] = f"{record.get(name, '')}\n{line}"
            elif line:
                name, _, value = line.partition(":")
                record[name] = value.strip()
        if record:
            yield record


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
