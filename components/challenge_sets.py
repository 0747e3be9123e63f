"""Challenge sets: small files of pairs that are evaluated beside the test split, by name.

A product name, a number format, a sentence that once came out wrong: what must not
break, whether the test split holds it or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tfx.dsl.io import fileio

from .errors import PipelineError
from .readers.options import ReadingConfig
from .readers.rows import Rejected
from .readers.tsv import read_tsv
from .sentences import Row, new_row
from .slices import SET

READING = ReadingConfig(max_characters=10_000)


def read_challenge_sets(files: Mapping[str, str]) -> list[Row]:
    """Reads all sets; pairs of one source are its references.

    Args:
      files: the path of each set, `source TAB target` lines, by its name.

    Raises:
      PipelineError: a line is no pair, or a file holds none. Who writes such a file
        means every line of it.
    """
    rows = []
    for name, path in files.items():
        references: dict[str, list[str]] = {}
        with fileio.open(path, "rb") as stream:
            for row in read_tsv(stream, path, READING):
                if isinstance(row, Rejected):
                    raise PipelineError(
                        f"evaluation.challenge_sets.{name}: {path}:{row.line}: expected "
                        f"'source TAB target' in UTF-8, found {row.reason} ({row.detail})"
                    )
                references.setdefault(row.source, []).append(row.target)
        if not references:
            raise PipelineError(f"evaluation.challenge_sets.{name}: {path} holds no pair")
        for source, targets in references.items():
            rows.append(new_row(source, list(dict.fromkeys(targets)), {SET: name}))
    return rows


def digest_of(files: Mapping[str, str]) -> str:
    """The SHA-256 of the content of all sets, so that a changed file is a changed input."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0".encode())
        with fileio.open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()
