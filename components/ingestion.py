"""From files to kept and rejected pairs, in Beam: what every way in runs.

Rows travel in batches. Where pairs are compared with one another, or those of a
source are brought together, the kept ones are laid aside in files, and so are the keys
that are compared: what crosses a shuffle is the names of those files, and then the
places of the duplicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from glob import escape
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.window import GlobalWindows

from .aside import Aside, RowsAside, batches_aside, by_shard, bytes_aside, create
from .cleaning.duplicates import groups
from .cleaning.filter import PairFilter
from .cleaning.filters import clean_all
from .data_config import DataConfig
from .readers.pieces import Piece, pieces_of
from .readers.registry import InputFile, read_pairs
from .readers.rows import Extra, Pair, Rejected, Row, shown
from .splits import PRECEDENCE, SPLIT_NAMES
from .weights import with_weight

# Plain tuples, for Beam would pickle named ones: a `Pair`, a `Rejected`.
PairRow = tuple[str, str, str, int, Extra]
RejectedRow = tuple[str, str, str, int, str]
# The number of a file, its paths and its format, and a `Piece` of it, or () for the whole.
FilePart = tuple[int, tuple[str, ...], str, tuple[int, ...]]

REJECTED = "rejected"
KEYS = "keys"
IN_PART, READ = "in-part-", "read-"
PAIRS = "pairs"
KEY_SHARDS = 64
BATCH_ROWS = 1 << 10
BATCH_CHARACTERS = 1 << 22

FOUND = np.dtype([("place", "<u8"), ("which", "<u4"), ("first_file", "<u4"), ("first_line", "<u4")])
REJECTED_SCHEMA = pa.schema(
    [(name, pa.uint32() if name == "line" else pa.string()) for name in Rejected._fields]
)


class ReadFiles(beam.PTransform):
    """The rows of files, in batches: 'pairs' (of `PairRow`) and 'rejected' ones (of `RejectedRow`).

    Args:
      files: what to read, each by one worker.
      config: the `data` section.
      scratch: a folder for what is laid aside; whoever made it removes it.
      parts: None for batches as they come; else a batch has all pairs of some sources,
        one part in so many of them.
    """

    def __init__(
        self, files: list[InputFile], config: DataConfig, scratch: str, parts: int | None = None
    ):
        super().__init__()
        self._files = files
        self._config = config
        self._scratch = scratch
        self._parts = parts

    def expand(self, pipeline: beam.Pipeline) -> Any:
        files = (
            pipeline
            # Spread over the workers, as all that Beam creates of several.
            | "Files" >> beam.Create(list(parts_to_read(self._files, self._config)))
        )
        if self._parts is None and not self._config.comparisons:
            do = ReadBatches(self._config, self._scratch)
            read = beam.ParDo(do).with_outputs(REJECTED, main=PAIRS)
            return files | "Read" >> read
        lay = LayAside(self._config, self._scratch, self._parts or 1)
        aside = files | "LayAside" >> beam.ParDo(lay).with_outputs(KEYS, main=PAIRS)
        shards = aside[KEYS] | "ByShard" >> beam.GroupByKey()
        found: list[beam.PCollection] = []
        for which in range(len(self._config.comparisons)):
            do = Compare(self._config, which, self._scratch)
            compare = beam.ParDo(do, *_as_side_input(found))
            found.append(shards | f"Compare{which}" >> compare)
        take = TakeUp(self._files, self._config, self._parts is not None)
        return (
            aside[PAIRS]
            | "ByPart" >> beam.GroupByKey()
            | "TakeUp"
            >> beam.ParDo(take, *_as_side_input(found)).with_outputs(REJECTED, main=PAIRS)
        )


def _as_side_input(found: list[beam.PCollection]) -> list[Any]:
    if not found:
        return []
    return [beam.pvalue.AsIter(tuple(found) | f"FoundBy{len(found)}" >> beam.Flatten())]


def parts_to_read(files: list[InputFile], config: DataConfig) -> Iterator[FilePart]:
    """What is read at a time: files, and of large ones pieces."""
    for number, (paths, file_format, _) in enumerate(files):
        for piece in pieces_of(paths[0], file_format, config):
            yield number, paths, file_format, tuple(piece or ())


def cleaned_batches(
    file: FilePart, config: DataConfig, scratch: str
) -> Iterator[tuple[list[tuple[int, Pair]], list[RejectedRow], int]]:
    """The rows of a file, or of a piece, after all filters that look at one pair alone.

    How many a reader gave is left in `scratch`, for `check_read`.

    Yields:
      Kept pairs with the numbers of their rows, rejected rows, and the characters of all.
    """
    place, paths, file_format, of_piece = file
    piece = Piece(*of_piece) if of_piece else None
    filters = [each for each in config.cleaning if isinstance(each, PairFilter)]
    column = config.splits.column
    number = piece.line - 1 if piece else 0
    read = 0
    for rows, characters in _batches(read_pairs(InputFile(paths, file_format), config, piece)):
        read += len(rows)
        cleaned = clean_all(rows, filters)
        kept, rejected = [], []
        for row in cleaned:
            if column and isinstance(row, Pair):
                row = _with_known_split(row, column)
            if config.weight and isinstance(row, Pair):
                row = with_weight(row, config.weight)
            if isinstance(row, Pair):
                kept.append((number, row))
            else:
                rejected.append((row.reason, row.detail, row.file, row.line, row.text))
            number += 1
        yield kept, rejected, characters
    # By a name of its own: what is tried again is written over.
    name = FileSystems.join(scratch, f"{READ}{place}-{piece.line if piece else 0}")
    with closing(create(name)) as written:
        written.write(b"%d\n" % read)


def check_read(scratch: str, written: int) -> None:
    """Compares the rows that were written, kept or rejected, with those that readers gave.

    Raises:
      RuntimeError: they are not as many, which no data should be able to bring about.
    """
    read = sum(map(int, _left_in(scratch, READ).split()))
    if read != written:
        raise RuntimeError(
            f"{read:,} rows were read, but {written:,} kept or rejected: a fault of this "
            "program, not of the data; please report it"
        )


def _with_known_split(pair: Pair, column: str) -> Row:
    name = dict(pair.extra).get(column, "")
    if name.lower() in SPLIT_NAMES:
        return pair
    detail = f"expected train, validation or test in '{column}', received '{name[:80]}'"
    text = shown(pair.source, pair.target)
    return Rejected("unknown_split", detail, pair.file, pair.line, text)


def _batches(rows: Iterable[Row]) -> Iterator[tuple[list[Row], int]]:
    batch: list[Row] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += len(row[0]) + len(row[1])
        if isinstance(row, Pair):
            characters += sum(len(value) for _, value in row.extra)
        if len(batch) == BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch, characters
            batch, characters = [], 0
    if batch:
        yield batch, characters


class ReadBatches(beam.DoFn):
    """Reads a file, and leaves in `scratch` how many rows it has."""

    def __init__(self, config: DataConfig, scratch: str):
        self._config = config
        self._scratch = scratch

    def process(self, file: FilePart) -> Iterator[Any]:
        for kept, rejected, _ in cleaned_batches(file, self._config, self._scratch):
            if rejected:
                yield beam.pvalue.TaggedOutput(REJECTED, rejected)
            if kept:
                yield [tuple(pair) for _, pair in kept]


class LayAside(beam.DoFn):
    """Reads files and writes their rows, and the keys to compare, into other files.

    Gives (kind and part, path), and as `KEYS` (comparison and shard, path).
    """

    def __init__(self, config: DataConfig, scratch: str, parts: int):
        self._config = config
        self._scratch = scratch
        self._parts = parts

    def start_bundle(self) -> None:
        self._keys = Aside(self._scratch)
        self._rows = Aside(self._scratch)
        schema = pair_schema(self._config)
        self._pairs = RowsAside(self._rows, schema, self._parts, "source", PAIRS)
        self._rejected = RowsAside(self._rows, REJECTED_SCHEMA, name=REJECTED)

    def process(self, file: FilePart) -> None:
        place = file[0]
        for kept, rejected, characters in cleaned_batches(file, self._config, self._scratch):
            ranks = self._ranks(kept)
            for which, comparison in enumerate(self._config.comparisons):
                packed = comparison.pack(place, kept, ranks)
                for shard, rows in by_shard(packed, KEY_SHARDS):
                    self._keys.file((which, shard)).write(rows.tobytes())
            rows = [
                (place << 32 | number, pair.line, pair.source, pair.target, *self._extra(pair))
                for number, pair in kept
            ]
            self._pairs.add(rows, characters)
            self._rejected.add(rejected, 0)

    def _ranks(self, pairs: Sequence[tuple[int, Pair]]) -> list[int]:
        """Where a column gives the splits; where inputs do, their files come in that order."""
        column = self._config.splits.column
        if not column:
            return []
        names = [dict(pair.extra)[column].lower() for _, pair in pairs]
        return [PRECEDENCE.index(SPLIT_NAMES[name]) for name in names]

    def _extra(self, pair: Pair) -> Iterable[str | None]:
        return map(dict(pair.extra).get, self._config.extra) if self._config.extra else ()

    def finish_bundle(self) -> Iterator[Any]:
        self._pairs.close()
        self._rejected.close()
        for named in self._rows.close():
            yield GlobalWindows.windowed_value(named)
        for named in self._keys.close():
            yield beam.pvalue.TaggedOutput(KEYS, GlobalWindows.windowed_value(named))


class Compare(beam.DoFn):
    """Finds the duplicates of a shard, as packed rows of `FOUND`.

    Args:
      config: the `data` section.
      which: of its comparisons; the shards of others are passed over, and so are the
        pairs that an earlier one found, for none is rejected in favour of a rejected one.
      scratch: for the places of pairs that were not compared with all others.
    """

    def __init__(self, config: DataConfig, which: int, scratch: str):
        self._comparison = config.comparisons[which]
        self._which = which
        self._scratch = scratch

    def process(
        self, shard: tuple[tuple[int, int], Iterable[str]], before: Iterable[bytes] = ()
    ) -> Iterator[bytes]:
        (which, number), paths = shard
        if which != self._which:
            return
        rows = np.frombuffer(bytes_aside(list(paths)), self._comparison.packing)
        if which:
            places = rows["file"].astype(np.uint64) << np.uint64(32) | rows["row"]
            rows = rows[~np.isin(places, np.frombuffer(b"".join(before), FOUND)["place"])]
        found = []
        in_part: set[int] = set()
        for group in groups(rows):
            for row, first in self._comparison.matches(group):
                place = int(row["file"]) << 32 | int(row["row"])
                if first is None:
                    in_part.add(place)
                else:
                    found.append((place, which, first["file"], first["line"]))
        if in_part:
            # By a name of its own: what is tried again is written over.
            name = FileSystems.join(self._scratch, f"{IN_PART}{which}-{number}")
            with closing(create(name)) as file:
                file.write(np.array(sorted(in_part), np.uint64).tobytes())
        yield np.array(found, FOUND).tobytes()


def compared_in_part(scratch: str) -> int:
    """How many pairs `Compare` did not compare with all that may be like them."""
    return len(np.unique(np.frombuffer(_left_in(scratch, IN_PART), np.uint64)))


def _left_in(scratch: str, begins: str) -> bytes:
    """The content of the files whose names begin so."""
    (matched,) = FileSystems.match([FileSystems.join(escape(scratch), f"{begins}*")])
    return bytes_aside([metadata.path for metadata in matched.metadata_list])


def merge_found(parts: Iterable[bytes]) -> np.ndarray:
    """What was found of all shards in order of place, one word for each."""
    found = np.frombuffer(b"".join(parts), FOUND)
    found = found[np.lexsort((found["first_line"], found["first_file"], found["place"]))]
    return found[np.unique(found["place"], return_index=True)[1]]


class TakeUp(beam.DoFn):
    """Reads what was laid aside; rows that were found to be duplicates are rejected, too.

    Args:
      files: what was read first.
      config: the `data` section.
      whole: give the pairs of a part as one batch, in order of their places.
    """

    def __init__(self, files: list[InputFile], config: DataConfig, whole: bool):
        self._files = files
        self._config = config
        self._whole = whole

    def process(
        self, part: tuple[tuple[str, int], Iterable[str]], found: Iterable[bytes] = ()
    ) -> Iterator[Any]:
        (kind, _), paths = part
        batches = (batch for path in sorted(paths) for batch in batches_aside(path))
        if kind == REJECTED:
            for batch in batches:
                columns = (column.to_pylist() for column in batch.columns)
                yield beam.pvalue.TaggedOutput(REJECTED, list(zip(*columns, strict=True)))
            return
        duplicates = merge_found(found)
        if self._whole:
            table = pa.Table.from_batches(list(batches))
            order = np.argsort(table["place"].to_numpy(), kind="stable")
            batches = iter(table.take(pa.array(order)).combine_chunks().to_batches())
        else:
            batches = (
                batch.slice(start, BATCH_ROWS)
                for batch in batches
                for start in range(0, batch.num_rows, BATCH_ROWS)
            )
        for batch in batches:
            kept, rejected = self._split(batch, duplicates)
            if rejected:
                yield beam.pvalue.TaggedOutput(REJECTED, rejected)
            if kept:
                yield kept

    def _split(
        self, batch: pa.RecordBatch, duplicates: np.ndarray
    ) -> tuple[list[PairRow], list[RejectedRow]]:
        places = batch.column(0).to_numpy()
        lines, sources, targets, *values = (c.to_pylist() for c in batch.columns[1:])
        # What a format cannot have travels as null.
        extras = [
            tuple(item for item in zip(self._config.extra, row, strict=True) if item[1] is not None)
            for row in zip(*values, strict=True)
        ]
        numbers = (places >> np.uint64(32)).tolist()
        paths = [self._files[number].paths[0] for number in numbers]
        rows = list(zip(sources, targets, paths, lines, extras or [()] * len(paths), strict=True))
        at = np.searchsorted(duplicates["place"], places)
        at[at == len(duplicates)] = 0
        lost = duplicates["place"][at] == places if len(duplicates) else np.zeros(len(at), bool)
        if not lost.any():
            return rows, []
        rejected = []
        for place in np.flatnonzero(lost):
            source, target, path, line, _ = rows[place]
            match = duplicates[at[place]]
            reason = self._config.comparisons[match["which"]].reason
            detail = f"of {self._files[match['first_file']].paths[0]}:{match['first_line']}"
            rejected.append((reason, detail, path, line, shown(source, target)))
        return [row for row, gone in zip(rows, lost, strict=True) if not gone], rejected


def pair_schema(config: DataConfig) -> pa.Schema:
    """Pairs as they are laid aside: place is the file's number and the row's, 32 bits each."""
    texts = [("source", pa.string()), ("target", pa.string())]
    extra = [(f"extra_{name}", pa.string()) for name in config.extra]
    return pa.schema([("place", pa.uint64()), ("line", pa.uint32()), *texts, *extra])
