"""Where the pages' content comes from: stores, sentences, comparisons and models, held."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from .comparison import Comparison, compare, compare_overall
from .library import Library
from .records import EVALUATOR, GATE, TRAINER, Run, Store
from .sentences import CannotRead, Sentences

HELD_SENTENCES = 4  # runs, each some hundred MB for 100,000 sentences
HELD_COMPARISONS = 32
HELD_OVERALL = 8  # what of those is the same for every metric, some MB for 100,000 sentences
HELD_MODELS = 2
EXPORT = "Format-Serving"  # of Trainer's model

Value = TypeVar("Value")


class NotThere(Exception):
    """What an address names does not exist."""


class Model(Protocol):
    """A loaded model: `serving.local_model.LocalModel`."""

    most: int

    def explain(self, sources: Sequence[str], nbest: int = 1) -> list[Any]:
        """Answers with attention."""

    def decode(self, source: str, options: Mapping[str, float | str]) -> list[Any]:
        """Answers with options of search."""

    def explain_decode(self, source: str, options: Mapping[str, float | str]) -> Any:
        """Answers with options of search, and with attention."""

    def has(self, signature: str) -> bool:
        """Whether the model was exported with a signature."""


class Outside(NamedTuple):
    """What other rooms do for the dashboard."""

    read_store: Callable[[Path, str, bool], Store]  # raises CannotRead
    database: Callable[[Path], Path]  # of an output folder
    is_busy: Callable[[Path], bool]  # whether a run uses an output folder now
    library: Callable[[], Library]
    load_model: Callable[[Path], Model]
    labels: Callable[[Path], dict[str, int]]  # of a folder of versions
    model_errors: tuple[type[Exception], ...]


class _Held:
    """The last few of something, each made once however many ask for it."""

    def __init__(self, most: int):
        self._most = most
        self._values: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[Any, threading.Lock] = {}

    def get(self, key: Any, make: Callable[[], Value]) -> Value:
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    return self._values[key]
            value = make()
            with self._lock:
                self._values[key] = value
                while len(self._values) > self._most:
                    gone, _ = self._values.popitem(last=False)
                    self._making.pop(gone, None)
            return value


def _identity(path: Path) -> tuple[Path, int, int]:
    """What holds as long as a file or folder is the same, which a path is not."""
    state = path.stat()
    return path, state.st_ino, state.st_mtime_ns


class Source:
    """All that pages show, read when it is asked for and held while it does not change.

    Args:
      folders: output folders by the names that addresses call them.
      outside: see there.
    """

    def __init__(self, folders: Mapping[str, Path], outside: Outside):
        self.folders = folders
        self.outside = outside
        self._stores = _Held(2 * len(folders))
        self._json = _Held(4096)
        self._sentences = _Held(HELD_SENTENCES)
        self._overall = _Held(HELD_OVERALL)
        self._comparisons = _Held(HELD_COMPARISONS)
        self._models = _Held(HELD_MODELS)
        self._library = _Held(1)

    @property
    def library(self) -> Library:
        """Of statistics; the first use imports it."""
        return self._library.get("", self.outside.library)

    def stores(self) -> tuple[list[Store], dict[Path, str]]:
        """All of them, as they are now, and why the folders of others cannot be read."""
        found, unreadable = [], {}
        for name, folder in self.folders.items():
            try:
                found.append(self.store(name))
            except CannotRead as error:
                unreadable[folder] = str(error)
        return found, unreadable

    def store(self, name: str) -> Store:
        """One of them.

        Raises:
          NotThere: no such name.
          CannotRead: it is damaged, or gone.
        """
        if name not in self.folders:
            raise NotThere(f"expected one of {', '.join(self.folders)}, received {name[:100]}")
        folder = self.folders[name]
        is_busy = self.outside.is_busy(folder)
        try:
            key = (name, *_identity(self.outside.database(folder)), is_busy)
        except OSError as error:
            raise CannotRead(f"no runs are there any more: {error}") from error
        return self._stores.get(key, lambda: self.outside.read_store(folder, name, is_busy))

    def run(self, name: str, number: int) -> tuple[Store, Run]:
        """A run and its store.

        Raises:
          NotThere: there is none such.
          CannotRead: its store is damaged, or gone.
        """
        store = self.store(name)
        run = store.run(number)
        if run is None:
            raise NotThere(f"expected a run of {store.folder}, found none with number {number}")
        return store, run

    def json(self, path: Path | None) -> Any:
        """What a file of an artifact holds; None if there is none."""
        if path is None:
            return None

        def read() -> Any:
            try:
                return json.loads(path.read_text("utf-8"))
            except ValueError:
                return None

        try:
            return self._json.get(_identity(path), read)
        except OSError:
            return None

    def verdict(self, store: Store, run: Run) -> dict[str, Any] | None:
        """What the gate said; None if it did not."""
        folder = store.place(run.output(GATE, "verdict"))
        return self.json(folder / "verdict.json" if folder else None)

    def metric(self, store: Store, run: Run) -> str:
        """The first metric of the gate."""
        verdict = self.verdict(store, run)
        return verdict["rules"][0]["metric"] if verdict else ""

    def sentences(self, store: Store, run: Run) -> Sentences:
        """The evaluated sentences.

        Raises:
          NotThere: the run has none.
          CannotRead: they are damaged.
        """
        folder = self._evaluated(store, run)
        try:
            return self._sentences.get(_identity(folder), lambda: Sentences(folder))
        except OSError as error:
            raise CannotRead(str(error)) from error

    def _evaluated(self, store: Store, run: Run) -> Path:
        folder = store.place(run.output(EVALUATOR, "sentences"))
        if folder is None:
            raise NotThere("this run evaluated no sentences, or they were removed")
        return folder

    def has_sentences(self, store: Store, run: Run) -> bool:
        """Whether there are some, without reading them."""
        return store.place(run.output(EVALUATOR, "sentences")) is not None

    def compare(
        self, before: tuple[Store, Run], after: tuple[Store, Run], metric: str
    ) -> Comparison:
        """Two runs by a metric."""
        first, second = self.sentences(*before), self.sentences(*after)
        key = tuple(_identity(self._evaluated(*side)) for side in (before, after))

        def made() -> Comparison:
            overall = self._overall.get(key, lambda: compare_overall(first, second, self.library))
            return compare(first, second, metric, self.library, overall)

        return self._comparisons.get((key, metric), made)

    def model(self, store: Store, run: Run) -> Model:
        """The model that a run trained; loading it takes a while.

        Raises:
          NotThere: the run trained none.
        """
        folder = self.model_folder(store, run)
        if folder is None:
            raise NotThere("this run trained no model, or it was removed")
        return self._models.get(_identity(folder), lambda: self.outside.load_model(folder))

    def model_folder(self, store: Store, run: Run) -> Path | None:
        """Where that is."""
        place = store.place(run.output(TRAINER, "model"))
        return place / EXPORT if place and (place / EXPORT).is_dir() else None
