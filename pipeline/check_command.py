"""`seq2seq data check`: what becomes of pairs, without running anything else."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from ..components.data_check import KEPT, REJECTED, REPORT, DataReport, check_pairs
from ..components.data_config import DataConfig, is_local
from ..models.configuration import Section
from .beam_args import BEAM_ARGS
from .config_file import ConfigurationError, explain, lines_of, place_of, plain, read_document


class _DataAlone(Section):
    """A configuration of which nothing but the data is looked at."""

    data: DataConfig


def data_config(path: Path | None, inputs: Sequence[str], settings: dict[str, Any]) -> DataConfig:
    """The `data` section of a file, with what the command line says in its place.

    Args:
      path: of the configuration; None for the defaults.
      inputs: paths and globs; none for those of the file. Two of unknown
        endings, or any even number with `format: aligned`, are aligned files.
      settings: other keys of the section.

    Raises:
      ConfigurationError: with every problem.
    """
    document = read_document(path) if path else {}
    lines = lines_of(document)
    data = plain(document.get("data", {} if inputs else None))
    if isinstance(data, dict):
        data = {**data, **settings}
        if inputs:
            data["input"] = _as_given(list(inputs), data.get("format", "auto"))
    try:
        config = _DataAlone.model_validate({"data": data}).data
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            for where, explained in explain(problem, _DataAlone):
                place = place_of(path, lines, where) if path else ""
                problems.append(f"{place}{'.'.join(map(str, where))}: {explained}")
        raise ConfigurationError(problems) from error
    found = [str(Path(p).absolute()) if is_local(p) else p for p in config.patterns]
    return config.with_patterns(found)


def _as_given(inputs: list[str], file_format: Any) -> Any:
    from ..components.readers.registry import format_of

    pairwise = file_format == "auto" and len(inputs) == 2 and not any(map(format_of, inputs))
    if (file_format == "aligned" and len(inputs) % 2 == 0) or pairwise:
        return [
            {"source": source, "target": target}
            for source, target in zip(inputs[::2], inputs[1::2], strict=True)
        ]
    return inputs


def run_check(config: DataConfig, output: Path | None, as_json: bool) -> bool:
    """Checks pairs and prints what came of them.

    Args:
      config: the `data` section.
      output: where kept and rejected pairs and the report go; nowhere if None.
      as_json: print one JSON object and nothing else.

    Returns:
      Whether some pair was kept.
    """
    with tempfile.TemporaryDirectory() as temporary:
        report = check_pairs(config, output or Path(temporary), BEAM_ARGS)
    if as_json:
        print(json.dumps(report._asdict(), ensure_ascii=False))
    else:
        _print(report, output)
    return report.kept > 0


def _print(report: DataReport, output: Path | None) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    rejected = sum(report.rejected.values())
    console.print(f"pairs: {report.read:,} read, {report.kept:,} kept, {rejected:,} rejected")
    if rejected:
        table = Table("reason", title="rejected", title_justify="left")
        table.add_column("rows", justify="right")
        table.add_column("the first of them")
        for reason, number in sorted(report.rejected.items(), key=lambda item: -item[1]):
            first = report.examples[reason][0]
            place = f"{os.path.relpath(first['file'])}:{first['line']}: {first['detail']}"
            table.add_row(reason, f"{number:,}", _printable(place))
        console.print(table)
    if output:
        for name, what in (
            (KEPT, "kept pairs"), (REJECTED, "rejected rows"), (REPORT, "report"),
        ):  # fmt: skip
            console.print(f"{what}: {output / name}")


def _printable(text: str) -> str:
    """Foreign text without what a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:120]
