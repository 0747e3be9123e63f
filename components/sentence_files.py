"""The artifact of evaluated sentences: Parquet, a row for each source, as `sentences` has it.

Columns are read without the others: what the gate needs of 100,000 sentences is there in
a part of a second, and no text is looked at for it.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from tfx.dsl.io import fileio

from ..models import features
from ..serving.told import CONFIDENCE, Forced
from .errors import PipelineError
from .metrics import sizes
from .sentences import MODELS, Row, Statistics
from .slices import SET

PREFIX = "sentences"
SUFFIX = ".parquet"
RECORD = "record.json"
WORDS = "trained_words.parquet"  # how often words of references stood in the train split
ATTENTION = "attention.jsonl"  # of a few answers: see `decoding.Explain`
READ_AT_ONCE = 1024  # rows

_WHOLE = (features.SOURCE_LENGTH, features.TARGET_LENGTH)  # of what is told of an answer
_COUNTS = {name: pa.int64() for name in ("tokens", "correct")}  # of `Forced`


def schema_of(dimensions: Sequence[str], models: Sequence[str], names: Sequence[str]) -> pa.Schema:
    """The columns.

    Args:
      dimensions: of the slices, `SET` apart.
      models: whose answers there are.
      names: of the measures.
    """
    text, number = pa.string(), pa.float64()
    answer = pa.struct(
        {
            "text": text,
            "score": number,
            "log_prob": number,
            "confidence": pa.struct(
                {name: pa.int64() if name in _WHOLE else number for name in CONFIDENCE}
            ),
            "forced": pa.list_(
                pa.struct({name: _COUNTS.get(name, number) for name in Forced._fields})
            ),
            "statistics": pa.struct({name: pa.list_(number) for name in names}),
        }
    )
    return pa.schema(
        {
            "id": text,
            "source": text,
            "references": pa.list_(text),
            "slices": pa.struct(dict.fromkeys([SET, *dimensions], text)),
            **dict.fromkeys(models, answer),
        }
    )


def to_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Rows as columns; what a row has not is null."""
    return pa.Table.from_pylist(rows, schema=schema)


def read_record(uri: str) -> dict[str, Any]:
    """Reads what `make_record` wrote."""
    with fileio.open(os.path.join(uri, RECORD)) as file:
        return json.loads(file.read())


def write_words(uri: str, counts: Mapping[str, int]) -> None:
    """Writes how often words of references were trained on; those left out never were."""
    table = pa.table({"word": pa.array(counts, pa.string()),
                      "times": pa.array(counts.values(), pa.int64())})  # fmt: skip
    written = io.BytesIO()
    pq.write_table(table, written)
    fileio.makedirs(uri)
    with fileio.open(os.path.join(uri, WORDS), "wb") as file:
        file.write(written.getvalue())


def read_rows(uri: str) -> Iterator[Row]:
    """Reads the rows of an artifact, one after another, in no particular order.

    Raises:
      PipelineError: a file is damaged.
    """
    for path, file in _files(uri):
        try:
            for batch in file.iter_batches(READ_AT_ONCE):
                yield from map(_without_nulls, batch.to_pylist())
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error


def read_statistics(uri: str, names: Sequence[str]) -> Statistics:
    """Reads what statistics need of an artifact, and no text.

    Args:
      uri: of the artifact.
      names: of the measures.

    Raises:
      PipelineError: a file is damaged, or there is none.
    """
    tables = []
    for path, file in _files(uri):
        models = [model for model in MODELS if model in file.schema_arrow.names]
        columns = ["id", "slices", *(f"{model}.statistics" for model in models)]
        try:
            tables.append(file.read(columns))
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
    if not tables:
        raise PipelineError(f"expected {PREFIX}*{SUFFIX} in {uri}, found none")
    return statistics_of(pa.concat_tables(tables), names)


def statistics_of(table: pa.Table, names: Sequence[str]) -> Statistics:
    """Takes what statistics need out of a table.

    The order is that of ids, so that what is drawn by a seed is the same whatever
    order workers wrote in.

    Args:
      table: of `to_table`.
      names: of the measures.
    """
    table = table.take(pc.sort_indices(table["id"])).combine_chunks()
    wide = sizes(names)
    measures = {}
    for model in MODELS:
        if model not in table.column_names or not table.num_rows:
            continue
        found = _field(table[model], "statistics")
        measures[model] = {
            name: np.asarray(_field(found, name).flatten(), np.float64).reshape(-1, wide[name])
            for name in names
        }
    # Few combinations, many rows: hold each combination once.
    known: dict[tuple[str | None, ...], dict[str, str]] = {}
    dimensions = [field.name for field in table.schema.field("slices").type]
    labels = [_field(table["slices"], name).to_pylist() for name in dimensions]
    slices = []
    for row in zip(*labels, strict=True):
        if row not in known:
            named = zip(dimensions, row, strict=True)
            known[row] = {name: label for name, label in named if label is not None}
        slices.append(known[row])
    return Statistics(slices, measures)


def _files(uri: str) -> Iterator[tuple[str, pq.ParquetFile]]:
    for path in sorted(fileio.glob(os.path.join(uri, f"{PREFIX}*{SUFFIX}"))):
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            try:
                opened = pq.ParquetFile(file)
            except (pa.ArrowException, OSError) as error:
                raise _damaged(path, error) from error
            yield path, opened


def _damaged(path: str, error: Exception) -> PipelineError:
    return PipelineError(f"{path}: expected a Parquet file of evaluated sentences: {error}")


def _field(values: pa.Array | pa.ChunkedArray, name: str) -> pa.Array:
    """A field of a column of structures."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    place = values.type.get_field_index(name)
    return pc.struct_field(values, [place])


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value
