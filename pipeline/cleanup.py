"""What of an output folder can go, and its removal, which may be killed at any point.

Metadata stays, all of it: it is small, and it is the lineage. An artifact is first marked
as deleted there, so that no run takes it from the cache, then its folder is renamed, then
removed. Whatever a killed removal leaves behind is found again on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from ml_metadata.proto import metadata_store_pb2 as pb

from ..serving.promotion import alone
from ..serving.promotion import read as read_promotion
from ..serving.server.version_folder import versions_in
from .lineage import Graph
from .run_folder import ARTIFACTS, CHECKPOINTS, EXPORTS, SERVING, bytes_below
from .run_records import executions_of, open_store, run_contexts

VERSIONS, FORMS = "pushed versions", "other forms of them"
_GOING = ".gc-"  # the beginning of the name of what is being removed


class CannotClean(Exception):
    """The folder is not as its metadata says, and nothing is removed."""


class Item(NamedTuple):
    """One folder that goes, or file beside checkpoints."""

    kind: str
    folder: Path
    bytes: int


class Plan(NamedTuple):
    """What goes, and what of the metadata is marked."""

    items: list[Item]
    marked: list[pb.Artifact]
    kept_runs: int
    kept_versions: list[Path]


def plan(output: Path, keep: int) -> Plan:
    """Finds what no kept run, no served version and no baseline needs.

    Args:
      output: the folder; no run may be using it.
      keep: so many of the newest runs stay, with all that they made and read.

    Raises:
      NoRuns: it holds no record.
      CannotClean: the folder was moved.
      PromotionError: the labels of versions cannot be read.
    """
    output = output.resolve()
    store = open_store(output)
    graph = Graph(store)
    runs = sorted(run_contexts(store), key=lambda run: run.id)[-keep:]
    executions = {e.id for run in runs for e in executions_of(store, run.id)}
    kept = {artifact for e in executions for artifact in graph.touched(e)}
    kept |= set(graph.blessed()[-1:])  # the baseline of the next candidate

    pushed = {_here(output, folder): model for folder, model in graph.pushed_to.items()}
    served = _served(output)
    versions = served[SERVING] | {f for f, model in pushed.items() if model in kept}
    for folder in versions & pushed.keys():
        kept |= {pushed[folder], *graph.copies(pushed[folder])}
    # Where a kept run is repeated it must begin where it began.
    models = [a for a in kept if graph.artifacts[a].type == "Model"]
    kept |= {start for model in models if (start := graph.began_with(model)) is not None}
    # Without its blessing no candidate would be compared with a model.
    kept |= set(graph.blessings(kept))

    folders = {_here(output, graph.artifacts[artifact].uri) for artifact in kept}
    elsewhere = [folder for folder in folders if not folder.is_relative_to(output)]
    if elsewhere:
        raise CannotClean(
            f"expected the artifacts of runs below {output}, found {min(elsewhere)} recorded: "
            "the folder was moved, and cannot be cleaned here"
        )
    oldest = min((run.create_time_since_epoch for run in runs), default=0) / 1000
    items = [
        Item(kind, folder, bytes_below(folder))
        for kind, folder in _on_disk(output, executions, oldest)
        if folder not in folders and not _stays(folder, versions, served[EXPORTS])
    ]
    marked = [
        artifact
        for artifact in graph.artifacts.values()
        if artifact.id not in kept and artifact.state == pb.Artifact.LIVE
    ]
    return Plan(items, marked, len(runs), sorted(versions))


def clean(output: Path, planned: Plan, tell: Callable[[Item], None] = lambda item: None) -> None:
    """Does what was planned.

    Args:
      output: the folder; no run may be using it.
      planned: of it; a version that was promoted since stays.
      tell: is called for each folder that is gone.
    """
    for artifact in planned.marked:
        artifact.state = pb.Artifact.DELETED
    if planned.marked:
        open_store(output, writable=True).put_artifacts(planned.marked)
    output = output.resolve()
    for item in planned.items:
        going = item.folder
        if not going.name.startswith(_GOING):
            if item.kind in (VERSIONS, FORMS):
                with _no_promotions(output):
                    served = _served(output)
                    if _stays(item.folder, served[SERVING], served[EXPORTS]):
                        continue  # promoted since
                    going = _put_aside(item.folder)
            else:
                going = _put_aside(item.folder)
        if going.is_dir():
            shutil.rmtree(going)
        else:
            going.unlink()
        tell(item)


@contextmanager
def _no_promotions(output: Path) -> Iterator[None]:
    """Holds promotions of versions and of their other forms."""
    with ExitStack() as held:
        for place in (SERVING, EXPORTS):
            if (output / place).is_dir():
                held.enter_context(alone(output / place / "any"))
        yield


def _put_aside(folder: Path) -> Path:
    """Renames it, in one step: a server or a run sees all of it or nothing."""
    going = folder.with_name(f"{_GOING}{folder.name}")
    os.replace(folder, going)
    return going


def _here(output: Path, recorded: str) -> Path:
    """A recorded path as one below the output, which the run may have reached by a link."""
    path = Path(recorded)
    for above in path.parents:
        if above.resolve() == output:
            return output / path.relative_to(above)
    return path


def _served(output: Path) -> dict[str, set[Path]]:
    """By place, the versions that have a label, had `stable` before, or are the newest."""
    served: dict[str, set[Path]] = {SERVING: set(), EXPORTS: set()}
    for place, versions in served.items():
        for base in (p for p in (output / place).glob("*") if p.is_dir()):
            promoted = read_promotion(base)
            numbers = {*promoted.labels.values(), promoted.before, *versions_in(base)[:1]}
            versions |= {base / str(number) for number in numbers if number is not None}
    return served


def _stays(folder: Path, versions: set[Path], forms: set[Path]) -> bool:
    """Whether a folder is one of the versions, or another form that is served or is of one."""
    return folder in versions or folder in forms or _is_form_of(folder, versions)


def _is_form_of(folder: Path, versions: set[Path]) -> bool:
    """Whether a folder is another form of one of the versions."""
    model, _, form = folder.parent.name.rpartition("-")
    of = folder.parents[2] / SERVING / model / folder.name
    return folder.parents[1].name == EXPORTS and bool(form) and of in versions


def _on_disk(output: Path, executions: set[int], oldest: float) -> Iterator[tuple[str, Path]]:
    """Every folder that something made, but what kept executions have beside their outputs.

    Args:
      output: the folder.
      executions: of the kept runs.
      oldest: when the first of these began; checkpoints are of no run that is recorded.
    """
    for node in sorted((output / ARTIFACTS).glob("*")):
        for made in sorted(node.glob("*/*")):
            going = made.name.startswith(_GOING)
            if made.parent.name == CHECKPOINTS:
                if going or made.stat().st_mtime < oldest:
                    yield "checkpoints", made
            elif going or made.name.isdecimal():
                yield node.name, made
        for scratch in sorted(node.glob(".system/*/*")):
            if scratch.name.isdecimal():
                goes = int(scratch.name) not in executions
            else:
                goes = scratch.name.startswith(_GOING) or scratch.stat().st_mtime < oldest
            if goes:
                yield "scratch", scratch
    for place, kind in ((SERVING, VERSIONS), (EXPORTS, FORMS)):
        for version in sorted((output / place).glob("*/*")):
            if version.is_dir() and (version.name.isdecimal() or version.name.startswith(_GOING)):
                yield kind, version
