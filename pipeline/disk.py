"""How much of the disk a run still takes, told by those before it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from glob import glob
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from .run_folder import ARTIFACTS, CHECKPOINTS, EXPORTS, bytes_below
from .run_records import (
    SETTLED,
    NoRuns,
    RunRecord,
    executions_of,
    open_store,
    outputs_of,
    read_runs,
    text_of,
)

if TYPE_CHECKING:
    from .config import PipelineConfig

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


def room_of(
    output: Path, patterns: Iterable[str], spans: Sequence[str], settings: Mapping[str, str]
) -> Room:
    """What a run is likely to write, and has written already.

    Args:
      output: its folder; the largest of the last runs there is the measure.
      patterns: paths and globs of what it reads, of this machine's files.
      spans: that it reads; the newest run, if of the same and not ended, is gone on with.
      settings: `settings_of` its configuration; what was made with others is made again.
    """
    files = [Path(p).stat() for pattern in patterns for p in glob(pattern)]
    sizes, written = [FIRST_RUN * sum(file.st_size for file in files)], 0
    try:
        runs = read_runs(output, last=3)
        store = open_store(output)
    except NoRuns:
        return Room(sizes[0], 0)
    sizes += [_written_by(store, output, run) for run in runs]
    newest = runs[-1] if runs else None
    if (
        newest
        and newest.verdict not in SETTLED
        and newest.spans == list(spans)
        and all(file.st_mtime < newest.started for file in files)  # what changed is read anew
    ):
        written = _written_by(store, output, newest, settings)
    return Room(max(sizes), written)


def settings_of(config: PipelineConfig) -> dict[str, str]:
    """What decides most of a run's work, as ML Metadata keeps it with executions."""
    return {
        "data": config.data.model_dump_json(),
        "tokenizer_config": config.tokenizer.model_dump_json(),
        "settings": config.trainer_settings.model_dump_json(),  # within custom_config
    }


def _written_by(
    store: mlmd.MetadataStore, output: Path, run: RunRecord, settings: Mapping[str, str] = {}
) -> int:
    """All that a run wrote until its settings were others; what is gone since among it."""
    recorded = sorted(executions_of(store, run.id), key=lambda execution: int(execution.id))
    same = list(takewhile(lambda execution: _has(execution, settings), recorded))
    executions = {execution.id for execution in same}
    made = list(outputs_of(store, executions))
    folders = {Path(each.uri) for each in made if f"/{ARTIFACTS}/" in each.uri}
    folders |= {
        scratch
        for scratch in (output / ARTIFACTS).glob("*/.system/*/*")
        if scratch.name.isdecimal() and int(scratch.name) in executions
    }
    if run.version and run.pushed_to:
        folders |= {Path(run.pushed_to), *(output / EXPORTS).glob(f"*/{run.version}")}
    weights = [file for each in made if each.type == "Model" for file in _weights(Path(each.uri))]
    if not weights and len(same) == len(recorded):  # the training is not through
        folders |= {
            kept
            for kept in (output / ARTIFACTS).glob(f"*/{CHECKPOINTS}/*")
            if kept.stat().st_mtime >= run.started
        }
    in_training = IN_TRAINING * sum(file.stat().st_size for file in weights)
    return in_training + sum(bytes_below(folder) for folder in folders)


def _has(execution: pb.Execution, settings: Mapping[str, str]) -> bool:
    """Whether an execution had these settings, as far as it has any of them."""
    custom = json.loads(text_of(execution, "custom_config") or "null") or {}
    had = {name: text_of(execution, name) for name in settings}
    had["settings"] = custom.get("settings", "")
    return all(had[name] in ("", now) for name, now in settings.items())


def _weights(model: Path) -> Iterable[Path]:
    return model.glob("Format-Serving/variables/*")
