"""The interface strings of Home Assistant, English to German."""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from . import pypi
from .common import PAIRS, Dataset, Progress, Report, already_there, write_dataset

WHEEL = pypi.Wheel(
    package="homeassistant==2026.2.3",
    size=51_240_053,
    sha256="8167820cac4b8defe895fd2c36ac23402a445d1fe6028e8cde24caabb935282c",
    python="3.14",  # it asks for a newer one than ours
)
# The number counts changes of the rules in this file: a new one makes the data anew.
VERSION = f"{WHEEL.package} en-de, rules 1"


def obtain(output_dir: Path, report: Report, progress: Progress) -> Path:
    """Downloads the Home Assistant wheel and writes its English strings beside the German ones.

    Args:
        output_dir: The folder for pairs.tsv, LICENSE and VERSION.
        report: Takes lines for the user.
        progress: Takes the bytes downloaded and their total.

    Raises:
        DataUnavailable: No wheel came, it is not the recorded one, or the folder is not writable.
    """
    if already_there(output_dir, VERSION):
        report(f"already there: {output_dir / PAIRS}")
        return output_dir / PAIRS
    with pypi.opened(WHEEL, report, progress) as archive:
        pairs, dropped = _pairs(archive)
        licences = _licences(archive)
    path = write_dataset(output_dir, VERSION, sorted(pairs), licences)
    read = len(pairs) + sum(dropped.values())
    report(f"{read:,} English strings read")
    for reason, count in sorted(dropped.items()):
        report(f"{count:,} dropped: {reason}")
    sources = len({source for source, _ in pairs})
    report(f"{len(pairs):,} pairs of {sources:,} distinct English strings written to {path}")
    return path


def _pairs(archive: zipfile.ZipFile) -> tuple[set[tuple[str, str]], Counter[str]]:
    """Pairs the two languages by catalog and key, and counts by reason what was dropped."""
    names = set(archive.namelist())
    pairs: set[tuple[str, str]] = set()
    dropped: Counter[str] = Counter()
    for name in sorted(names):
        if not name.endswith("/translations/en.json"):
            continue
        german_name = name.removesuffix("en.json") + "de.json"
        german = _catalog(archive, german_name) if german_name in names else {}
        for key, source in _catalog(archive, name).items():
            target = german.get(key)
            if target is None:
                dropped["no German string"] += 1
            elif not source or not target:
                dropped["an empty side"] += 1
            elif "[%key:" in source or "[%key:" in target:
                dropped["an unresolved reference"] += 1
            elif source == target:
                # "17:00", "Dolby Surround", "Name": most are not language, or not translated.
                dropped["both sides the same"] += 1
            elif (source, target) in pairs:
                dropped["a repeated pair"] += 1
            else:
                pairs.add((source, target))
    return pairs, dropped


def _catalog(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    return dict(_flatten(json.loads(archive.read(name))))


def _flatten(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _flatten(child, f"{key}.{name}" if key else name)
    elif isinstance(node, str):
        # One line a pair, and no tab within a side.
        yield key, " ".join(node.split())


def _licences(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Returns the package's own LICENSE, and its NOTICE if it has one."""
    found = {}
    for name in archive.namelist():
        folder, stem = PurePosixPath(name).parent, PurePosixPath(name).stem
        if folder.match("*.dist-info/licenses") and stem in ("LICENSE", "NOTICE"):
            found[stem] = archive.read(name)
    return found


DATASET = Dataset(
    name="home_assistant",
    description="English interface strings and their German translations, from Home Assistant.",
    licence="Apache-2.0",
    default_output=Path("data/home_assistant_en_de"),
    obtain=obtain,
)
