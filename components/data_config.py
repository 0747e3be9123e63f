"""The `data` section of the configuration, and the files that it names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from glob import escape
from pathlib import Path
from typing import Annotated, Any

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from pydantic import Field, field_validator, model_validator

from ..models.configuration import Section
from .cleaning.duplicates import Duplicates, NearDuplicates
from .cleaning.filters import AnyFilter
from .errors import Passing, PipelineError
from .readers.compression import bare_name
from .readers.options import ReadingConfig
from .readers.registry import ENDINGS, InputFile, format_of
from .readers.rows import is_unicode, shown
from .readers.tatoeba import PLACES as TATOEBA
from .spans import (
    Span,
    anything,
    check_specs,
    in_order,
    names_days,
    names_spans,
    newest_versions,
    spans_in,
)
from .splits import COMPARABLE_SOURCE, PRECEDENCE, SOURCE, SPLITS, SplitShares

NEWEST = "newest"  # spans that a run finds out when it reads
PART_BYTES = 1 << 26
MOST_PARTS = 256  # each has open files
UNPACKED = 5  # times the size of a compressed file, about


class AlignedInput(Section):
    """Two text files, or globs of such, that correspond line by line."""

    source: str
    target: str


Inputs = str | AlignedInput | list[str | AlignedInput]


class GivenSplits(Section):
    """Inputs that are split already."""

    train: Inputs
    validation: Inputs
    test: Inputs


class DataConfig(ReadingConfig):
    """The `data` section: which pairs the pipeline reads and how it splits them."""

    input: Inputs | GivenSplits
    # Of a path with {SPAN} or a date: so many of the newest are read together.
    window: Annotated[int, Field(ge=1)] = 1
    cleaning: list[AnyFilter] = []
    splits: SplitShares = SplitShares()
    # A name of `extra`: a column of numbers, by which pairs count in training.
    weight: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _names_files(cls, value: Any) -> Any:
        if isinstance(value, GivenSplits):
            return value
        if isinstance(value, dict) and set(SPLITS) & set(value):
            if set(value) != set(SPLITS):
                raise ValueError(
                    f"expected all of {', '.join(SPLITS)} or none, received {', '.join(value)}"
                )
            return {split: cls._names_files(inputs) for split, inputs in value.items()}
        items = value if isinstance(value, list) else [value]
        if not items:
            raise ValueError("expected a path or a glob pattern, received an empty list")
        for item in items:
            aligned = isinstance(item, dict) and set(item) == {"source", "target"}
            names = list(item.values()) if aligned else [item]
            if not isinstance(item, AlignedInput) and not all(isinstance(n, str) for n in names):
                raise ValueError(
                    "expected a path or a glob pattern, {source: ..., target: ...} of two aligned "
                    f"files, or a list of such, received {item!r}"
                )
            if any(isinstance(name, str) and not name.strip() for name in names):
                raise ValueError("expected a path or a glob pattern, received an empty string")
        return value

    @model_validator(mode="after")
    def _spans_are_whole(self) -> DataConfig:
        for pattern in self.patterns:
            try:
                check_specs(pattern)
            except ValueError as error:
                raise ValueError(f"input: {error}") from error
        if len({names_days(pattern) for pattern in self.patterns if names_spans(pattern)}) > 1:
            raise ValueError(
                "input: expected numbers ({SPAN}) or days ({YYYY}, {MM} and {DD}) in all paths "
                f"that name spans, received both: {', '.join(filter(names_spans, self.patterns))}"
            )
        return self

    @model_validator(mode="after")
    def _extra_is_in_every_input(self) -> DataConfig:
        if self.extra and any(isinstance(item, AlignedInput) for _, item in self.inputs):
            raise ValueError(
                "extra: expected inputs with columns, such as tsv, received aligned files, which "
                f"have none for {', '.join(self.extra)}; leave it out, or give the files otherwise"
            )
        return self

    @model_validator(mode="after")
    def _tatoeba_has_columns_of_its_own(self) -> DataConfig:
        if self.format == "tatoeba":
            if self.columns:
                raise ValueError(
                    "columns: expected none of Tatoeba's exports, which have their own; with "
                    "format: tsv they have columns 1 to 4"
                )
            for name, column in self.extra.items():
                if column not in (*TATOEBA, *range(1, len(TATOEBA) + 1)):
                    raise ValueError(
                        f"extra: expected a column of Tatoeba's exports ({', '.join(TATOEBA)}, or "
                        f"its number from 1 to {len(TATOEBA)}), received {column!r} for '{name}'"
                    )
        return self

    @model_validator(mode="after")
    def _splits_by_what_there_is(self) -> DataConfig:
        if self.splits.column is not None:
            if self.splits.column not in self.extra:
                extra = ", ".join(self.extra) or "which is empty"
                raise ValueError(
                    f"splits.column: expected a name of data.extra ({extra}), "
                    f"received '{self.splits.column}'"
                )
            if isinstance(self.input, GivenSplits):
                raise ValueError(
                    "splits.column: input gives the splits already; leave one of them out"
                )
        known = [SOURCE, COMPARABLE_SOURCE, *self.extra]
        if self.splits.by not in known:
            raise ValueError(
                f"splits.by: expected one of {', '.join(known)}, received '{self.splits.by}'"
            )
        return self

    @model_validator(mode="after")
    def _weight_is_a_column(self) -> DataConfig:
        if self.weight is not None and self.weight not in self.extra:
            extra = ", ".join(self.extra) or "which is empty"
            raise ValueError(
                f"weight: expected a name of data.extra ({extra}), received '{self.weight}'"
            )
        return self

    @property
    def comparisons(self) -> list[Duplicates | NearDuplicates]:
        """The filters that compare pairs with one another; they come after all others."""
        return [each for each in self.cleaning if isinstance(each, Duplicates | NearDuplicates)]

    @property
    def inputs(self) -> list[tuple[str, str | AlignedInput]]:
        """What `input` names, each with the split it is given for, or ''."""
        if isinstance(self.input, GivenSplits):
            return [
                (split, item) for split in SPLITS for item in _listed(getattr(self.input, split))
            ]
        return [("", item) for item in _listed(self.input)]

    @property
    def patterns(self) -> list[str]:
        """Every path and glob of the inputs, both of aligned ones, in order."""
        return list(patterns_of(self.input))

    def with_patterns(self, patterns: list[str]) -> DataConfig:
        """The same with other paths and globs, as many as there are."""
        rest = iter(patterns)

        def renamed(item: Any) -> Any:
            if isinstance(item, list):
                return [renamed(one) for one in item]
            if isinstance(item, str):
                return next(rest)
            names = type(item).model_fields
            return type(item)(**{name: renamed(getattr(item, name)) for name in names})

        return self.model_copy(update={"input": renamed(self.input)})


def _listed(inputs: Inputs) -> list[str | AlignedInput]:
    return inputs if isinstance(inputs, list) else [inputs]


class SpannedData(DataConfig):
    """The section once a run has chosen its spans; `input` then names their files."""

    spans: list[str] = []  # as `Span` writes itself, oldest first


def with_spans(config: DataConfig, spans: list[Span]) -> SpannedData:
    """The section with every span's files in place of patterns with {SPAN} or a date.

    Args:
      config: the section; a pattern without either is read as it is.
      spans: oldest first.
    """

    def filled(item: str | AlignedInput, span: Span) -> str | AlignedInput:
        if isinstance(item, AlignedInput):
            return AlignedInput(source=span.filled(item.source), target=span.filled(item.target))
        return span.filled(item)

    def of_all(inputs: Inputs) -> list[str | AlignedInput]:
        found = [filled(item, span) for item in _listed(inputs) for span in spans]
        return list({str(item): item for item in found}.values())

    given: Any = config.input
    if isinstance(given, GivenSplits):
        chosen: Any = GivenSplits(
            **{name: of_all(getattr(given, name)) for name in GivenSplits.model_fields}
        )
    else:
        chosen = of_all(given)
    values = {name: getattr(config, name) for name in DataConfig.model_fields}
    return SpannedData.model_construct(**{**values, "input": chosen}, spans=list(map(str, spans)))


def available_spans(config: DataConfig) -> list[Span]:
    """The spans that every pattern with {SPAN} or a date has files of, oldest first.

    Each in its newest version. None where no pattern names spans.

    Raises:
      PipelineError: patterns name spans, and there is none.
    """
    spanned = [pattern for pattern in config.patterns if names_spans(pattern)]
    if not spanned:
        return []
    by_pattern = [spans_in(p, _matching(anything(p), f"{p!r}")) for p in spanned]
    found = newest_versions(by_pattern)
    if not found:
        raise PipelineError(f"data.input: expected a span that all of {spanned} have, found none")
    return found


def chosen_spans(config: DataConfig, wanted: str) -> list[Span]:
    """The spans that somebody asks for, oldest first.

    Args:
      config: the section; its patterns name spans.
      wanted: NEWEST for the window that ends with the newest, or spans with commas between.

    Raises:
      PipelineError: it is something else, or patterns name spans, and there is none.
    """
    if wanted.strip() == NEWEST:
        return available_spans(config)[-config.window :]
    try:
        spans = {Span.parse(label.strip()) for label in wanted.split(",")}
    except ValueError as error:
        raise PipelineError(f"spans: '{NEWEST}', or {error}") from error
    for pattern in filter(names_spans, config.patterns):
        for span in spans:
            if not span.fills(pattern):
                raise PipelineError(f"spans: expected one for '{pattern}', received '{span}'")
    return sorted(spans, key=in_order)


def patterns_of(given: Any) -> Iterator[str]:
    """The paths and globs in `data.input`, read and checked or just as the file has it."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, Section):
        for name in type(given).model_fields:
            yield from patterns_of(getattr(given, name))
    elif isinstance(given, Mapping):
        for item in given.values():
            yield from patterns_of(item)
    elif isinstance(given, list):
        for item in given:
            yield from patterns_of(item)


def is_local(pattern: str) -> bool:
    """Whether a path is one of this machine's own files."""
    return "://" not in pattern


def absolute_pattern(pattern: str) -> str:
    """A path or glob from the root; a folder that it is relative to is no glob.

    Where a glob matches nothing and is the name of a file, that file is meant.
    """
    if not is_local(pattern):
        return pattern
    if not _matches(pattern) and _names_a_file(pattern):
        return escape(os.path.join(os.getcwd(), pattern))
    return str(Path(escape(os.getcwd()), pattern))


def files_of(config: DataConfig) -> list[InputFile]:
    """The files that the inputs match now, each once, in the order that tells a first pair.

    Given for test, for validation, for train; then as the inputs are listed; then by path.

    Raises:
      PipelineError: a pattern matches nothing, the ending of a file tells no
        format and nor does `format`, or aligned patterns match unequal numbers.
    """
    found: dict[InputFile, None] = {}
    for split, item in config.inputs:
        if isinstance(item, AlignedInput):
            sources, targets = _matching(item.source), _matching(item.target)
            if len(sources) != len(targets):
                raise PipelineError(
                    f"data.input: '{item.source}' matches {len(sources)} files and "
                    f"'{item.target}' {len(targets)}; expected as many"
                )
            for paths in zip(sources, targets, strict=True):
                found[InputFile(paths, "aligned", split)] = None
            continue
        for path in _matching(item):
            file_format = config.format if config.format != "auto" else format_of(path)
            if file_format is None:
                raise PipelineError(
                    f"data.format: the name of {path} tells no format; set one, or let it end "
                    f"in one of {', '.join(ENDINGS)}, with .gz, .bz2, .xz or .zst after it or not"
                )
            if file_format == "aligned":
                raise PipelineError(
                    "data.input: aligned files come two by two: {source: ..., target: ...}, "
                    f"received '{item}'"
                )
            found[InputFile((path,), file_format, split)] = None
    splits: dict[str, str] = {}
    for path, split in ((file.paths[0], file.split) for file in found):
        if splits.setdefault(path, split) != split:
            raise PipelineError(f"data.input: {path} is given for {splits[path]} and for {split}")
    return sorted(found, key=lambda file: PRECEDENCE.index(file.split) if file.split else 0)


def parts_of(files: list[InputFile]) -> int:
    """In how many parts all pairs of files are brought together, one in memory at a time."""
    size = 0
    for file in files:
        for path in file.paths:
            (found,) = FileSystems.match([escape(path)])
            packed = file.format == "parquet" or bare_name(path) != path
            unpacked = UNPACKED if packed else 1
            size += sum(metadata.size_in_bytes for metadata in found.metadata_list) * unpacked
    return min(MOST_PARTS, 1 + size // PART_BYTES)


def _matching(pattern: str, told: str | None = None) -> list[str]:
    told = told or f"'{pattern}'"
    try:
        (result,) = FileSystems.match([pattern])
    except BeamIOError as error:
        raise Passing(f"data.input: {told} cannot be looked up: {error}") from error
    except ValueError as error:
        raise PipelineError(f"data.input: {told} cannot be looked up: {error}") from error
    paths = sorted({metadata.path for metadata in result.metadata_list})
    if not paths:
        raise PipelineError(f"data.input: expected a file, found none at {told}")
    if strange := [path for path in paths if not is_unicode(path)]:
        raise PipelineError(
            f"data.input: expected names in UTF-8 at {told}, found {shown(strange[0])}; "
            "rename it, or leave it out of the pattern"
        )
    return paths


def matches_something(pattern: str) -> bool:
    """Whether a local pattern matches a file, or is the name of one."""
    return _matches(pattern) or _names_a_file(pattern)


def _names_a_file(pattern: str) -> bool:
    return not names_spans(pattern) and os.path.isfile(pattern)


def _matches(pattern: str) -> bool:
    """Whether a local pattern matches a file, whatever its span and version."""
    from glob import glob

    return any(os.path.isfile(found) for found in glob(anything(pattern)))
