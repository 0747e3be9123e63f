"""The folder of pushed versions, as the server sees it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

SAVED_MODEL = "saved_model.pb"
_MOST = 2**63 - 1  # a version is an int64


class Content(NamedTuple):
    """What tells one content of a folder from another, without reading it."""

    files: tuple[tuple[str, int, int], ...]  # path, bytes, change time in ns

    def is_settled(self, seconds: float) -> bool:
        """Whether nothing in it changed for so long: whoever copies it may be done."""
        newest = max(changed for *_, changed in self.files)
        return time.time_ns() - newest >= seconds * 1e9


def versions_in(base: Path) -> list[int]:
    """The versions below a folder, newest first; what holds no SavedModel that we see is none."""
    try:
        with os.scandir(base) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return []
    return sorted(
        (
            int(name)
            for name in names
            # Names as upstream writes numbers: `007` would be loaded as `7`.
            if name.isascii() and name.isdigit() and str(int(name)) == name
            # Not `is_file` of Path, which fails where we may not look.
            if int(name) <= _MOST and os.path.isfile(base / name / SAVED_MODEL)
        ),
        reverse=True,
    )


def content_of(directory: Path) -> Content:
    """What lies in a version's folder now.

    Raises:
      OSError: it went away.
    """
    found = []
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            # The time of the last change of anything, which no copying can preserve.
            status = os.stat(path)
            found.append((path, status.st_size, status.st_ctime_ns))
    if not found:
        raise FileNotFoundError(directory)
    return Content(tuple(sorted(found)))
