"""Ingestion, cleaning and counting alone, without TFX: what `seq2seq data check` runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from ..report.bitext_page import bitext_page
from .aside import join_files
from .bitext_limits import DataValidationConfig, breaches
from .bitext_statistics import LENGTHS, RATIOS
from .data_config import DataConfig, files_of
from .drift import drift
from .ingestion import (
    PairRow,
    ReadFiles,
    RejectedRow,
    WriteLines,
    kept_as_json,
    rejected_as_json,
)
from .measure_bitext import MeasureBitext
from .readers.rows import Rejected
from .splits import Splitter, splitter

KEPT = "kept.jsonl"
REJECTED = "rejected.jsonl"
REPORT = "report.json"
PAGE = "report.html"
EXAMPLES = 3  # rejected rows that are shown of each reason


class DataReport(NamedTuple):
    """What came of the rows of some files."""

    files: list[str]
    read: int
    kept: int
    rejected: dict[str, int]  # by reason
    examples: dict[str, list[dict[str, Any]]]  # the first rejected rows of each reason
    statistics: dict[str, Any]  # of what was kept
    breaches: list[dict[str, Any]]  # the limits that do not hold


class CountReasons(beam.CombineFn):
    """Counts rejected rows by reason, and keeps the first of each."""

    def create_accumulator(self) -> dict[str, Any]:
        return {}

    def add_input(self, counts: dict[str, Any], rows: Sequence[RejectedRow]) -> dict[str, Any]:
        reasons: dict[str, list[RejectedRow]] = {}
        for row in rows:
            reasons.setdefault(row[0], []).append(row)
        return self.merge_accumulators(
            [counts, *({reason: (len(found), found)} for reason, found in reasons.items())]
        )

    def merge_accumulators(self, parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for counts in parts:
            for reason, (number, rows) in counts.items():
                before, first = merged.get(reason, (0, []))
                rows = sorted([*first, *rows], key=lambda row: row[2:4])[:EXAMPLES]
                merged[reason] = (before + number, rows)
        return merged

    def extract_output(self, counts: dict[str, Any]) -> str:
        return json.dumps(counts)


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
      PipelineError: a file cannot be found or read.
    """
    files = files_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    for aside in ("rows", "keys"):
        (scratch / aside).mkdir(parents=True)
    with beam.Pipeline(options=PipelineOptions(beam_args)) as pipeline:
        rows = pipeline | ReadFiles(files, config, str(scratch / "rows"))
        for name, lines in (
            (KEPT, rows.pairs | "KeptAsJson" >> beam.Map(kept_as_json)),
            (REJECTED, rows.rejected | "RejectedAsJson" >> beam.Map(rejected_as_json)),
        ):
            _ = lines | f"Write_{name}" >> WriteLines(str(scratch / name))
        statistics = (
            rows.pairs
            | "WithSplit" >> beam.Map(with_splits, splitter(config.splits, files))
            | "Measure" >> MeasureBitext(str(scratch / "keys"), limits.near_similarity)
        )
        kept = rows.pairs | "SizesKept" >> beam.Map(len) | "CountKept" >> beam.CombineGlobally(sum)
        for name, counted in (
            ("statistics", statistics),
            ("kept", kept),
            ("reasons", rows.rejected | "CountReasons" >> beam.CombineGlobally(CountReasons())),
        ):
            path = str(scratch / name)
            _ = counted | f"Write_{name}" >> beam.io.WriteToText(path, shard_name_template="")
    for name in (KEPT, REJECTED):
        join_files(str(scratch / f"{name}-"), str(folder / name))
    kept = int((scratch / "kept").read_text())
    reasons = json.loads((scratch / "reasons").read_text("utf-8"))
    statistics = json.loads((scratch / "statistics").read_text("utf-8"))
    shutil.rmtree(scratch)
    if before is not None:
        statistics["drift"] = drift(statistics, before)
    rejected = {reason: number for reason, (number, _) in sorted(reasons.items())}
    read = kept + sum(rejected.values())
    found = breaches(limits, statistics, {"read": read, "rejected": rejected})
    report = DataReport(
        files=[path for file in files for path in file.paths],
        read=read,
        kept=kept,
        rejected=rejected,
        examples={
            reason: [Rejected(*row)._asdict() for row in rows]
            for reason, (_, rows) in sorted(reasons.items())
        },
        statistics=statistics,
        breaches=[breach._asdict() for breach in found],
    )
    text = json.dumps(report._asdict(), indent=2, ensure_ascii=False)
    (folder / REPORT).write_text(f"{text}\n", "utf-8")
    (folder / PAGE).write_text(bitext_page(report._asdict(), LENGTHS, RATIOS), "utf-8")
    return report


def with_splits(rows: Sequence[PairRow], given: Splitter) -> list[tuple[str, str, str]]:
    """Kept rows as (split, source, target)."""
    return [
        (given.split(source, file, extra), source, target)
        for source, target, file, _, extra in rows
    ]
