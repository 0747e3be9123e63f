"""What the branches of a pipeline found, brought together by name and written as JSON.

One shuffle for all of them. A combination and a sink of Beam's own for each are some thirty
steps more, and the runner's work on a step is more than that on small data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from .aside import create, opened_plain

# Of each name, what makes one value of all parts; of none, if nothing was found.
Merges = Mapping[str, Callable[[Iterable[Any]], Any]]


class Gather(beam.PTransform):
    """Branches of (name, part) to a file for each name, which `gathered` reads.

    Args:
      folder: of these files.
      merges: for each name; what they make is plain values, for JSON.
    """

    def __init__(self, folder: str, merges: Merges):
        super().__init__()
        self._folder = folder
        self._merges = merges

    def expand(self, branches: tuple[beam.PCollection, ...]) -> Any:
        return (
            branches
            | "Branches" >> beam.Flatten()
            | "ByName" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(WriteMerged(self._folder, self._merges))
        )


class WriteMerged(beam.DoFn):
    """Merges the parts of a name and writes the result."""

    def __init__(self, folder: str, merges: Merges):
        self._folder = folder
        self._merges = merges

    def process(self, named: tuple[str, Iterable[Any]]) -> None:
        name, parts = named
        text = json.dumps(self._merges[name](parts), ensure_ascii=False)
        with closing(create(_path(self._folder, name))) as file:
            file.write(text.encode())


def gathered(folder: str, merges: Merges) -> dict[str, Any]:
    """What `Gather` wrote, by name."""
    found = {}
    for name, merge in merges.items():
        path = _path(folder, name)
        if FileSystems.exists(path):
            with closing(opened_plain(path)) as file:
                found[name] = json.loads(file.read())
        else:
            found[name] = merge(())
    return found


def _path(folder: str, name: str) -> str:
    return FileSystems.join(folder, f"{name}.json")
