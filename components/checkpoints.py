"""The state of a training on disk: each checkpoint whole, or not there at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

_NAME = re.compile(r"^(\d{9})\.npz$")
_STATE = "state"


class Checkpoint(NamedTuple):
    """What a training was, at a step."""

    state: dict[str, Any]  # JSON: where it stood
    arrays: list[np.ndarray]


class Checkpoints:
    """The newest checkpoints of one training.

    Each is one file, NumPy's archive of arrays, which holds a checksum of each. It is
    written beside its place, forced to the disk, and then renamed.

    Args:
      folder: made when it is first needed.
      keep: so many stay; the older ones are for when the newest turns out damaged.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self.folder = folder
        self._keep = keep

    def save(self, step: int, state: dict[str, Any], arrays: list[np.ndarray]) -> bool:
        """Writes a checkpoint, and removes those too old to keep.

        A disk that is full does not end a training: the fault is logged, what was
        there stays, and the next checkpoint is another try.

        Args:
          step: of the whole training; orders the checkpoints.
          state: JSON.
          arrays: numbers of any type and shape.

        Returns:
          Whether the checkpoint is on disk.
        """
        place = self.folder / f"{step:09d}.npz"
        temporary = place.with_suffix(".tmp")
        members = {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)}
        members |= {str(i): array for i, array in enumerate(arrays)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                # As `numpy.savez`, which leaves its archive open where it fails.
                with zipfile.ZipFile(file, "w") as archive:
                    for name, array in members.items():
                        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                            np.lib.format.write_array(member, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        except OSError as error:
            logging.warning("no checkpoint of step %d: %s", step, error)
            temporary.unlink(missing_ok=True)
            return False
        for old in self._places()[self._keep :]:
            old.unlink()
        return True

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; damaged ones are logged and passed over."""
        for place in self._places():
            try:
                with np.load(place, allow_pickle=False) as archive:
                    state = json.loads(archive[_STATE].tobytes())
                    arrays = [archive[str(i)] for i in range(len(archive.files) - 1)]
                return Checkpoint(state, arrays)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                logging.warning("%s is damaged (%s); the one before it is taken", place, error)
        return None

    def remove(self) -> None:
        """Removes all of them: the training is through."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _places(self) -> list[Path]:
        """The files, the newest first."""
        if not self.folder.is_dir():
            return []
        return sorted((p for p in self.folder.iterdir() if _NAME.match(p.name)), reverse=True)
