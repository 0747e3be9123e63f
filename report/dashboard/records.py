"""What ML Metadata holds of runs, as plain records, and what follows from it.

Nothing here knows ML Metadata: `pipeline/run_store` reads it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

INGESTION, TRAINER, EVALUATOR, GATE = "PairExampleGen", "Trainer", "Evaluator", "Gate"
CODE = "code_digest"
FINGERPRINT = "input_fingerprint"
# Said of data in another way, or of no interest to people.
_NOT_SETTINGS = frozenset({CODE, FINGERPRINT, "span", "input_config", "custom_driver"})
_WRAPPED = "custom_config.settings."  # how Trainer is given its own
_ARTIFACTS = "artifacts"  # the folder of an output in which they lie


class Artifact(NamedTuple):
    """Something that a component made, or was given."""

    id: int
    type: str
    uri: str
    properties: dict[str, Any]


class Execution(NamedTuple):
    """A component in a run."""

    id: int
    component: str
    state: str  # 'done', 'cached', 'running', 'stopped' or 'failed'
    started: float  # seconds since the epoch
    seconds: float
    properties: dict[str, Any]
    inputs: dict[str, list[int]]  # ids of artifacts
    outputs: dict[str, list[int]]


class Run(NamedTuple):
    """A run of a pipeline."""

    id: int
    pipeline: str
    started: float
    executions: list[Execution]  # as they began
    # What was kept of its end, such as 'stopped'; 'running' between processes that each run
    # a component, and nothing while one process runs them all.
    verdict: str = ""
    reason: str = ""  # for people

    def execution(self, component: str) -> Execution | None:
        """What a component did; None if it did nothing."""
        return next((one for one in self.executions if one.component == component), None)

    def output(self, component: str, key: str) -> int | None:
        """The id of what a component made."""
        found = self.execution(component)
        made = found.outputs.get(key, []) if found else []
        return made[0] if made else None

    @property
    def seconds(self) -> float:
        """Of all components together; what came from the cache took none."""
        return sum(one.seconds for one in self.executions if one.state != "cached")


class Store(NamedTuple):
    """An output folder: its runs, newest first, and its artifacts by id."""

    name: str  # in addresses
    folder: Path
    runs: list[Run]
    artifacts: dict[int, Artifact]

    def place(self, artifact: int | None) -> Path | None:
        """Where an artifact lies, also where the folder was moved; None if it is gone."""
        if artifact is None or artifact not in self.artifacts:
            return None
        uri = Path(self.artifacts[artifact].uri)
        parts = uri.parts
        if _ARTIFACTS in parts:
            last = len(parts) - 1 - parts[::-1].index(_ARTIFACTS)
            moved = self.folder.joinpath(*parts[last:])
            if moved.exists():
                return moved
        return uri if uri.exists() else None

    def run(self, number: int) -> Run | None:
        """The run of an id."""
        return next((run for run in self.runs if run.id == number), None)

    def before(self, run: Run) -> Run | None:
        """The run of the same pipeline before one."""
        older = [r for r in self.runs if r.pipeline == run.pipeline and r.id < run.id]
        return max(older, key=lambda r: r.id, default=None)


class Setting(NamedTuple):
    """A key of a configuration that two runs do not share."""

    key: str
    before: str
    after: str


class Changes(NamedTuple):
    """In what a run differs from another."""

    data: list[str]  # in words
    code: list[str]  # components whose code differs
    settings: list[Setting]

    @property
    def any(self) -> bool:
        """Whether there is a difference."""
        return bool(self.data or self.code or self.settings)


def changes(store: Store, run: Run, before: Run, store_before: Store | None = None) -> Changes:
    """Compares what two runs were given.

    Args:
      store: of the run.
      run: the later one.
      before: what it is compared with.
      store_before: of that, if it is another.
    """
    prints = _fingerprint(store, run), _fingerprint(store_before or store, before)
    data = []
    if None not in prints and prints[0] != prints[1]:
        data.append(_data_in_words(*prints))  # type: ignore[arg-type]
    code, settings = [], []
    for execution in run.executions:
        other = before.execution(execution.component)
        if other is None:
            continue
        if execution.properties.get(CODE) != other.properties.get(CODE):
            code.append(execution.component)
        pair = [dict(_settings(one.properties)) for one in (other, execution)]
        for key in sorted({*pair[0], *pair[1]}):
            was, now = (_shown(of.get(key, "")) for of in pair)
            if was != now:
                key = key.removeprefix(_WRAPPED)
                settings.append(Setting(f"{execution.component}: {key}", was, now))
    return Changes(data, code, settings)


def _fingerprint(store: Store, run: Run) -> str | None:
    artifact = store.artifacts.get(run.output(INGESTION, "examples") or -1)
    return artifact.properties.get(FINGERPRINT) if artifact else None


def _data_in_words(now: str, was: str) -> str:
    """What of TFX's fingerprints differs: files, bytes, or else contents or times."""
    sizes = []
    for print_ in (was, now):
        parts = dict(part.partition(":")[::2] for part in print_.split(","))
        sizes.append((parts.get("num_files", "?"), parts.get("total_bytes", "?")))
    if sizes[0] != sizes[1]:
        told = [f"{files} files of {size} bytes" for files, size in sizes]
        return f"{told[0]} before, {told[1]} now"
    return "the files were written anew"


def _settings(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of settings, of which some are JSON within JSON."""
    for key, value in properties.items():
        if not prefix and key in _NOT_SETTINGS:
            continue
        if isinstance(value, str) and value[:1] == "{":
            with contextlib.suppress(ValueError):
                value = json.loads(value)
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Origin(NamedTuple):
    """An artifact, and how it came to be."""

    artifact: Artifact
    component: str
    run: Run | None  # that made it
    depth: int  # steps from where one looked
    made_of: list[str]  # types of what went in


def lineage(store: Store, artifact: int) -> list[Origin]:
    """An artifact and all that it was made of, back to what the first component read."""
    made: dict[int, tuple[Run, Execution]] = {}
    for run in store.runs:  # the oldest wins: the others took it from the cache
        for execution in run.executions:
            for ids in execution.outputs.values():
                made.update(dict.fromkeys(ids, (run, execution)))
    found: dict[int, Origin] = {}
    waiting = [(artifact, 0)]
    while waiting:
        number, depth = waiting.pop(0)
        if number in found or number not in store.artifacts:
            continue
        inputs: list[int] = []
        origin = Origin(store.artifacts[number], "given", None, depth, [])
        if number in made:
            run, execution = made[number]
            inputs = [i for ids in execution.inputs.values() for i in ids]
            types = [store.artifacts[i].type for i in inputs if i in store.artifacts]
            origin = origin._replace(
                component=execution.component, run=run, made_of=[*dict.fromkeys(types)]
            )
        found[number] = origin
        waiting += [(i, depth + 1) for i in inputs]
    return [*found.values()]


def input_files(store: Store, run: Run) -> list[str]:
    """What ingestion read: paths or globs as the configuration has them, and their size."""
    execution = run.execution(INGESTION)
    try:
        asked = json.loads(execution.properties.get("data", "{}")) if execution else {}
    except ValueError:
        asked = {}
    paths = asked.get("input", [])
    fingerprint = _fingerprint(store, run)
    told = [fingerprint.replace(",", ", ")] if fingerprint else []
    return [*([paths] if isinstance(paths, str) else map(str, paths)), *told]
