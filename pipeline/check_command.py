"""`seq2seq data check`: what becomes of pairs, without running anything else."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from ..components.bitext_limits import Breach, DataValidationConfig
from ..components.curated_schema import read_schema
from ..components.data_check import KEPT, PAGE, REJECTED, REPORT, DataReport, check_pairs
from ..components.data_config import DataConfig, absolute_pattern, available_spans, with_spans
from ..components.drift import drift
from ..models.configuration import Section
from .beam_args import BEAM_ARGS
from .config_file import ConfigurationError, explain, lines_of, place_of, plain, read_document


class CheckConfig(Section):
    """What of a configuration is looked at."""

    data: DataConfig
    data_validation: DataValidationConfig = DataValidationConfig()
    elsewhere: str = ""  # where runs of the job have Beam, if not in their own process


def check_config(path: Path | None, inputs: Sequence[str], settings: dict[str, Any]) -> CheckConfig:
    """The sections of a file that concern data, with what the command line says in its place.

    Args:
      path: of the configuration; None for the defaults.
      inputs: paths and globs; none for those of the file. Two of unknown
        endings, or any even number with `format: aligned`, are aligned files.
      settings: other keys of the `data` section.

    Raises:
      ConfigurationError: with every problem.
    """
    document = read_document(path) if path else {}
    lines = lines_of(document)
    given = {("data", key) for key in (*settings, *(["input"] if inputs else []))}  # not there
    data = plain(document.get("data", {} if inputs else None))
    if isinstance(data, dict):
        data = {**data, **settings}
        if inputs:
            data["input"] = _as_given(list(inputs), data.get("format", "auto"))
    try:
        others = {key: plain(document[key]) for key in ("data_validation",) if key in document}
        config = CheckConfig.model_validate({"data": data, **others})
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            for where, explained in explain(problem, CheckConfig):
                place = place_of(path, lines, where) if path and where[:2] not in given else ""
                problems.append(f"{place}{'.'.join(map(str, where))}: {explained}")
        raise ConfigurationError(problems) from error
    schema = config.data_validation.schema_file
    if schema:
        try:
            read_schema(schema)
        except ValueError as error:
            where = ("data_validation", "schema_file")
            told = f"{place_of(path, lines, where) if path else ''}{'.'.join(where)}: {error}"
            raise ConfigurationError([told]) from error
    runner = plain(document.get("runner"))
    beam = runner.get("beam") if isinstance(runner, dict) else None
    named = beam.get("runner", "in_memory") if isinstance(beam, dict) else "in_memory"
    elsewhere = "" if named == "in_memory" else str(named)
    found = [*map(absolute_pattern, config.data.patterns)]
    data = config.data.with_patterns(found)
    return config.model_copy(update={"data": data, "elsewhere": elsewhere})


def _as_given(inputs: list[str], file_format: Any) -> Any:
    from ..components.readers.registry import format_of

    pairwise = file_format == "auto" and len(inputs) == 2 and not any(map(format_of, inputs))
    if (file_format == "aligned" and len(inputs) % 2 == 0) or pairwise:
        return [
            {"source": source, "target": target}
            for source, target in zip(inputs[::2], inputs[1::2], strict=True)
        ]
    return inputs


def statistics_of(path: Path) -> dict[str, Any]:
    """The statistics in the report of an earlier check, or of a run's BitextValidator.

    Raises:
      ConfigurationError: there are none.
    """
    try:
        report = json.loads(path.read_text("utf-8"))
        statistics = report.get("statistics", report)
        drift(statistics, statistics)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        expected = f"expected {REPORT} of an earlier check, or statistics.json of a run"
        raise ConfigurationError([f"{path}: {expected}: {error!r}"]) from error
    return dict(statistics)


def run_check(
    config: CheckConfig, output: Path | None, as_json: bool, before: dict[str, Any] | None = None
) -> list[str]:
    """Checks pairs and prints what came of them.

    Args:
      config: what to read and what it must be like.
      output: where kept and rejected pairs and the report go; nowhere if None.
      as_json: print one JSON object and nothing else.
      before: the statistics of other pairs, to tell the drift from them.

    Returns:
      Why it is not good enough, if it is not.
    """
    if config.elsewhere and not as_json:
        print(f"runner.beam: {config.elsewhere} is for runs; here Beam runs in this process")
    # Beam logs the traceback of what is told to people in a sentence.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as temporary:
        folder = output or Path(temporary)
        spans = available_spans(config.data)
        data = with_spans(config.data, spans[-config.data.window :]) if spans else config.data
        report = check_pairs(data, config.data_validation, folder, list(BEAM_ARGS), before)
    if as_json:
        print(json.dumps(report._asdict(), ensure_ascii=False))
    else:
        _print(report, output)
    if not report.kept:
        return ["no pair was kept"]
    return [str(Breach(**breach)) for breach in report.breaches]


def _print(report: DataReport, output: Path | None) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    rejected = sum(report.rejected.values())
    console.print(f"pairs: {report.read:,} read, {report.kept:,} kept, {rejected:,} rejected")
    if rejected:
        width = max(map(len, report.rejected))
        for reason, number in sorted(report.rejected.items(), key=lambda item: -item[1]):
            first = report.examples[reason][0]
            place = f"{first['file']}:{first['line']}: {first['detail']}"
            place = place.replace(f"{os.getcwd()}{os.sep}", "")
            console.print(f"  {reason:<{width}} {number:>9,}  {_printable(place)}")
    if report.compared_in_part:
        told = f"{report.compared_in_part:,} pairs of templated text were compared with some alone"
        console.print(f"  near_duplicates: {told} of those like them; there may be more")
    for section, moved in report.statistics.get("drift", {}).items():
        console.print(f"  drift of {section}: {moved['distance']:.3f}")
    if output:
        for name, what in (
            (KEPT, "kept pairs"), (REJECTED, "rejected rows"), (REPORT, "report"), (PAGE, "page"),
        ):  # fmt: skip
            console.print(f"{what}: {output / name}")


def _printable(text: str) -> str:
    """Foreign text without what a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:120]
