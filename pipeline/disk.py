"""How much of the disk a run still takes, told by those before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from glob import glob
from pathlib import Path
from typing import NamedTuple

import ml_metadata as mlmd

from .run_folder import ARTIFACTS, CHECKPOINTS, EXPORTS, bytes_below
from .run_records import (
    SETTLED,
    NoRuns,
    RunRecord,
    executions_of,
    open_store,
    outputs_of,
    read_runs,
)

# For a first run. 40,000 plain pairs took 3.5 times their bytes as examples, token ids and
# sentences; packed pairs are up to five times smaller.
FIRST_RUN = 20
# A training keeps two checkpoints and writes a third, each of the weights, the optimizer's
# two moments and the best weights so far; all are gone when it is through.
IN_TRAINING = 3 * 4


class Room(NamedTuple):
    """What a run writes, in bytes."""

    whole: int
    written: int  # by earlier tries of the same run, or by its earlier components

    @property
    def left(self) -> int:
        """What is still to be written."""
        return max(0, self.whole - self.written)


def room_of(output: Path, patterns: Iterable[str], spans: Sequence[str]) -> Room:
    """What a run is likely to write, and has written already.

    Args:
      output: its folder; the largest of the last runs there is the measure.
      patterns: paths and globs of what it reads, of this machine's files.
      spans: that it reads; the newest run, if of the same and not ended, is gone on with.
    """
    pairs = sum(Path(p).stat().st_size for pattern in patterns for p in glob(pattern))
    sizes, written = [FIRST_RUN * pairs], 0
    try:
        runs = read_runs(output, last=3)
        store = open_store(output)
    except NoRuns:
        return Room(sizes[0], 0)
    sizes += [_written_by(store, output, run) for run in runs]
    if runs and runs[-1].verdict not in SETTLED and runs[-1].spans == list(spans):
        written = sizes[-1]
    return Room(max(sizes), written)


def _written_by(store: mlmd.MetadataStore, output: Path, run: RunRecord) -> int:
    """All that a run wrote, what is gone since among it."""
    executions = {execution.id for execution in executions_of(store, run.id)}
    made = list(outputs_of(store, executions))
    folders = {Path(each.uri) for each in made if f"/{ARTIFACTS}/" in each.uri}
    folders |= {
        scratch
        for scratch in (output / ARTIFACTS).glob("*/.system/*/*")
        if scratch.name.isdigit() and int(scratch.name) in executions
    }
    if run.version and run.pushed_to:
        folders |= {Path(run.pushed_to), *(output / EXPORTS).glob(f"*/{run.version}")}
    weights = [file for each in made if each.type == "Model" for file in _weights(Path(each.uri))]
    if not weights:  # the training is not through
        folders |= {
            kept
            for kept in (output / ARTIFACTS).glob(f"*/{CHECKPOINTS}/*")
            if kept.stat().st_mtime >= run.started
        }
    in_training = IN_TRAINING * sum(file.stat().st_size for file in weights)
    return in_training + sum(bytes_below(folder) for folder in folders)


def _weights(model: Path) -> Iterable[Path]:
    return model.glob("Format-Serving/variables/*")
