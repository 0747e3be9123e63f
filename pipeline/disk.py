"""How much of the disk one more run takes, told by those before it."""

from __future__ import annotations

from collections.abc import Iterable
from glob import glob
from pathlib import Path

from .run_folder import ARTIFACTS, bytes_below
from .run_records import NoRuns, executions_of, open_store, outputs_of, read_runs

# For a first run. 40,000 plain pairs took 3.5 times their bytes as examples, token ids and
# sentences; packed pairs are up to five times smaller.
FIRST_RUN = 20


def needed_bytes(output: Path, patterns: Iterable[str]) -> int:
    """The bytes that a run is likely to write.

    Args:
      output: its folder; the largest of the last runs there is the measure.
      patterns: paths and globs of what it reads, of this machine's files.
    """
    pairs = sum(Path(p).stat().st_size for pattern in patterns for p in glob(pattern))
    return max([FIRST_RUN * pairs, *_written_before(output)])


def _written_before(output: Path, last: int = 3) -> list[int]:
    try:
        runs = read_runs(output, last)
        store = open_store(output)
    except NoRuns:
        return []
    sizes = []
    for run in runs:
        made = outputs_of(store, (e.id for e in executions_of(store, run.id)))
        folders = {artifact.uri for artifact in made if f"/{ARTIFACTS}/" in artifact.uri}
        sizes.append(sum(bytes_below(Path(folder)) for folder in sorted(folders)))
    return sizes
