"""Ingestion, cleaning and counting alone, without TFX: what `seq2seq data check` runs."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import orjson
from apache_beam.options.pipeline_options import PipelineOptions

from ..report.bitext_page import bitext_page
from .aside import join_files
from .bitext_limits import DataValidationConfig, breaches
from .bitext_statistics import LENGTHS, RATIOS
from .curated_schema import schema_breaches
from .data_config import DataConfig, files_of
from .drift import drift
from .errors import PipelineError
from .gathered import Gather, Merges, gathered
from .ingestion import PairRow, ReadFiles, check_read, compared_in_part
from .measure_bitext import STATISTICS, MeasureBitext, merge_statistics
from .row_lines import (
    WriteLines,
    add_reasons,
    examples_of,
    first_of_reasons,
    kept_as_json,
    merge_lines,
    numbers_of,
    rejected_as_json,
)
from .splits import Splitter, splitter

KEPT = "kept.jsonl"
REJECTED = "rejected.jsonl"
REPORT = "report.json"
PAGE = "report.html"


class DataReport(NamedTuple):
    """What came of the rows of some files."""

    files: list[str]
    read: int
    kept: int
    rejected: dict[str, int]  # by reason
    compared_in_part: int  # kept or not, with some of all pairs that may be near duplicates
    examples: dict[str, list[dict[str, Any]]]  # the first rejected rows of each reason
    statistics: dict[str, Any]  # of what was kept
    breaches: list[dict[str, Any]]  # the limits that do not hold


MERGES: Merges = {
    KEPT: partial(merge_lines, add=sum),
    REJECTED: partial(merge_lines, add=add_reasons),
    STATISTICS: merge_statistics,
}


def check_pairs(
    config: DataConfig,
    limits: DataValidationConfig,
    folder: Path,
    beam_args: list[str],
    before: dict[str, Any] | None = None,
) -> DataReport:
    """Reads and cleans pairs, and writes the kept and the rejected ones.

    Args:
      config: the `data` section.
      limits: the `data_validation` section.
      folder: for `KEPT`, `REJECTED`, `REPORT` and `PAGE`; made if it is missing.
      beam_args: of Beam.
      before: the statistics of other pairs, to tell the drift from them.

    Raises:
      PipelineError: a file cannot be found or read, or what is written would replace it.
    """
    files = files_of(config)
    _refuse_to_replace([path for file in files for path in file.paths], folder)
    folder = folder.absolute()  # Beam lists nothing by a relative pattern that begins with '['
    folder.mkdir(parents=True, exist_ok=True)
    # A folder of its own name: what stands in `folder` already is the user's.
    with tempfile.TemporaryDirectory(prefix=".seq2seq-", dir=folder) as scratch:
        rows_aside, keys, lines = (str(Path(scratch, name)) for name in ("rows", "keys", "lines"))
        for aside in (rows_aside, keys, lines):
            Path(aside).mkdir()
        write_kept = WriteLines(KEPT, lines, kept_as_json, len, sum)
        write_rejected = WriteLines(
            REJECTED, lines, rejected_as_json, first_of_reasons, add_reasons
        )
        with beam.Pipeline(options=PipelineOptions(beam_args)) as pipeline:
            rows = pipeline | ReadFiles(files, config, rows_aside)
            statistics = (
                rows.pairs
                | "WithSplit" >> beam.Map(with_splits, splitter(config.splits, files))
                | "Measure" >> MeasureBitext(keys, limits.near_similarity)
            )
            _ = (
                rows.pairs | "WriteKept" >> beam.ParDo(write_kept),
                rows.rejected | "WriteRejected" >> beam.ParDo(write_rejected),
                statistics,
            ) | Gather(scratch, MERGES)
        found = gathered(scratch, MERGES)
        in_part = compared_in_part(rows_aside)
        read = found[KEPT][1] + sum(numbers_of(found[REJECTED][1]).values())
        check_read(rows_aside, read)
        kept_files, kept = found[KEPT]
        rejected_files, reasons = found[REJECTED]
        statistics = found[STATISTICS]
        join_files(kept_files, str(folder / KEPT))
        join_files(rejected_files, str(folder / REJECTED))
    if before is not None:
        statistics["drift"] = drift(statistics, before)
    rejected, examples = numbers_of(reasons), examples_of(reasons)
    counts = {"read": read, "rejected": rejected, "examples": examples}
    broken = breaches(limits, statistics, counts, partial(_pairs_in, folder / KEPT))
    if limits.schema_file and kept:
        broken += schema_breaches(config, files, limits.schema_file, folder, beam_args)
    report = DataReport(
        files=[path for file in files for path in file.paths],
        read=read,
        kept=kept,
        rejected=rejected,
        compared_in_part=in_part,
        examples=examples,
        statistics=statistics,
        breaches=[breach._asdict() for breach in broken],
    )
    text = json.dumps(report._asdict(), indent=2, ensure_ascii=False)
    (folder / REPORT).write_text(f"{text}\n", "utf-8")
    (folder / PAGE).write_text(bitext_page(report._asdict(), LENGTHS, RATIOS), "utf-8")
    return report


def _refuse_to_replace(read: list[str], folder: Path) -> None:
    """What was kept of an earlier check may be checked again, but not be its own output."""
    for name in (KEPT, REJECTED, REPORT, PAGE):
        written = folder / name
        for path in read:
            if written.exists() and os.path.exists(path) and written.samefile(path):
                raise PipelineError(
                    f"expected an output folder other than that of the input, received {folder}: "
                    f"{name} would replace {path}"
                )


def _pairs_in(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as lines:
        for line in map(orjson.loads, lines):
            yield line["source"], line["target"]


def with_splits(rows: Sequence[PairRow], given: Splitter) -> list[tuple[str, str, str]]:
    """Kept rows as (split, source, target)."""
    splits = given.splits([(source, file, extra) for source, _, file, _, extra in rows])
    return [(split, row[0], row[1]) for split, row in zip(splits, rows, strict=True)]
