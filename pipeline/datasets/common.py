"""What the data sets share: their description, their one error, and how a folder is written."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PAIRS = "pairs.tsv"
STAMP = "VERSION"

Report = Callable[[str], None]
Progress = Callable[[int, int], None]


class DataUnavailable(Exception):
    """A data set cannot be obtained; the message says what was expected, what came, what to do."""

    def __init__(self, expected: str, came: str, to_do: str) -> None:
        super().__init__(f"expected {expected}; {came}; {to_do}")


@dataclass(frozen=True)
class Dataset:
    """A data set that can be obtained by name.

    Args:
        name: What the user asks for.
        description: One sentence.
        licence: The licence of the data.
        default_output: The folder it goes to unless told otherwise.
        obtain: Writes the data set to a folder, tells what it did by report(line) and how far
            it is by progress(done, total), and returns the path of the TSV.
    """

    name: str
    description: str
    licence: str
    default_output: Path
    obtain: Callable[[Path, Report, Progress], Path]


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal.

    Args:
        path: The file.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def already_there(folder: Path, version: str) -> bool:
    """Tells whether a folder holds the pairs of this content version, complete and unchanged.

    Args:
        folder: Where write_dataset put them.
        version: The content version asked for.
    """
    return recorded_version(folder) == version


def recorded_version(folder: Path) -> str:
    """Returns the content version of the pairs in a folder, "" unless complete and unchanged.

    Args:
        folder: Where write_dataset put them.
    """
    try:
        stamp = (folder / STAMP).read_text("utf-8")
        version = stamp.partition("\n")[0]
        return version if stamp == _stamp(folder, version) else ""
    except (OSError, UnicodeDecodeError):
        return ""


def write_dataset(
    folder: Path, version: str, pairs: Iterable[tuple[str, str]], licences: dict[str, bytes]
) -> Path:
    """Writes the pairs, their licence files and the version stamp, each file whole or not at all.

    Args:
        folder: Made if it is missing.
        version: The content version, for already_there.
        pairs: Source and target, neither with a tab or a line break.
        licences: File name to content.

    Raises:
        DataUnavailable: The folder cannot be written.
    """
    lines = "".join(f"{source}\t{target}\n" for source, target in pairs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in licences.items():
            _replace(folder / name, content)
        _replace(folder / PAIRS, lines.encode("utf-8"))
        # Last, and with the digest of the pairs: a run cut short before here is done again.
        _replace(folder / STAMP, _stamp(folder, version).encode("utf-8"))
    except OSError as error:
        raise DataUnavailable(
            f"to write the data to {folder}", f"the system says: {error}", "choose another folder"
        ) from error
    return folder / PAIRS


def _stamp(folder: Path, version: str) -> str:
    return f"{version}\n{PAIRS} sha256 {sha256(folder / PAIRS)}\n"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
