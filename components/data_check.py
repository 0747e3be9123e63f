"""Ingestion, cleaning and counting alone, without TFX: what `seq2seq data check` runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from ..report.bitext_page import bitext_page
from .bitext_limits import DataValidationConfig, breaches
from .bitext_statistics import LENGTHS, RATIOS
from .data_config import DataConfig, files_of
from .ingestion import Place, ReadFiles, kept_as_json, rejected_as_json
from .measure_bitext import MeasureBitext
from .readers.rows import Rejected
from .splits import SplitShares, split_key, split_of

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

    def add_input(self, counts: dict[str, Any], row: tuple[Any, ...]) -> dict[str, Any]:
        return self.merge_accumulators([counts, {row[0]: (1, [row])}])

    def merge_accumulators(self, parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for counts in parts:
            for reason, (number, rows) in counts.items():
                before, first = merged.get(reason, (0, []))
                if first and len(first) == EXAMPLES and rows[0][2:4] > first[-1][2:4]:
                    merged[reason] = (before + number, first)
                else:
                    rows = sorted([*first, *rows], key=lambda row: row[2:4])[:EXAMPLES]
                    merged[reason] = (before + number, rows)
        return merged

    def extract_output(self, counts: dict[str, Any]) -> str:
        return json.dumps(counts)


def check_pairs(
    config: DataConfig, limits: DataValidationConfig, folder: Path, beam_args: list[str]
) -> DataReport:
    """Reads and cleans pairs, and writes the kept and the rejected ones.

    Args:
      config: the `data` section.
      limits: the `data_validation` section.
      folder: for `KEPT`, `REJECTED`, `REPORT` and `PAGE`; made if it is missing.
      beam_args: of Beam.

    Raises:
      PipelineError: a file cannot be found or read.
    """
    files = files_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    with beam.Pipeline(options=PipelineOptions(beam_args)) as pipeline:
        rows = pipeline | ReadFiles(files, config)
        for name, lines in (
            (KEPT, rows.pairs | "KeptAsJson" >> beam.Map(kept_as_json)),
            (REJECTED, rows.rejected | "RejectedAsJson" >> beam.Map(rejected_as_json)),
        ):
            # In shards as they come: one shard would have to pass through a shuffle.
            _ = lines | f"Write_{name}" >> beam.io.WriteToText(str(scratch / name))
        statistics = (
            rows.pairs
            | "WithSplit" >> beam.Map(with_split, config.splits)
            | "Measure" >> MeasureBitext()
        )
        for name, counted in (
            ("statistics", statistics),
            ("kept", rows.pairs | "CountKept" >> beam.combiners.Count.Globally()),
            ("reasons", rows.rejected | "CountReasons" >> beam.CombineGlobally(CountReasons())),
        ):
            path = str(scratch / name)
            _ = counted | f"Write_{name}" >> beam.io.WriteToText(path, shard_name_template="")
    for name in (KEPT, REJECTED):
        _join(sorted(scratch.glob(f"{name}-*")), folder / name)
    kept = int((scratch / "kept").read_text())
    reasons = json.loads((scratch / "reasons").read_text("utf-8"))
    statistics = json.loads((scratch / "statistics").read_text("utf-8"))
    shutil.rmtree(scratch)
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


def with_split(row: tuple[str, Place], shares: SplitShares) -> tuple[str, str, str]:
    """A kept row as (split, source, target)."""
    source, (_, _, target, extra) = row
    return split_of(split_key(source, extra, shares), shares), source, target


def _join(parts: list[Path], whole: Path) -> None:
    with whole.open("wb") as file:
        for part in parts:
            with part.open("rb") as content:
                shutil.copyfileobj(content, file)
