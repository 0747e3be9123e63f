"""Measures a server under load."""

from __future__ import annotations

import asyncio
import json
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..report.fonts import Fonts
from ..report.load_curve import Point, load_curve
from ..report.png import to_png
from ..report.svg import to_svg
from ..serving.client import load


class CannotMeasure(Exception):
    """The figures cannot be taken, or written."""


def bench(server: str, name: str, sources: Path, rates: str, seconds: int, stem: Path) -> None:
    """Loads a server, prints a table, and writes STEM.json, STEM.svg and STEM.png.

    Args:
      server: HOST:PORT, or a URL.
      name: of the model.
      sources: a file of a source a line; what follows a tab is left out.
      rates: requests a second, separated by commas.
      seconds: for each rate.
      stem: of the files.

    Raises:
      CannotMeasure: there is nothing to send or no rate, or the files cannot be written.
      ServerError: the server does not answer.
    """
    try:
        texts = [line.split("\t")[0] for line in sources.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CannotMeasure(f"{sources}: {error}") from error
    if not texts:
        raise CannotMeasure(f"expected a source a line in {sources}, found none")
    loads = asyncio.run(load.load_curve(server, name, texts, _numbers(rates), seconds))
    _print(loads)
    record = {
        "server": server,
        "machine": platform.platform(),
        "loads": [measured.as_json() for measured in loads],
    }
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        _file(stem, "json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        print(_file(stem, "json"))
        if any(measured.answered for measured in loads):
            points = [Point(m.rate, _told(m), _refused(m)) for m in loads]
            picture = load_curve(points, "Latency under load")
            _file(stem, "svg").write_text(to_svg(picture), "utf-8")
            _file(stem, "png").write_bytes(to_png(picture, Fonts()))
            print(_file(stem, "svg"), _file(stem, "png"), sep="\n")
    except OSError as error:
        raise CannotMeasure(f"the figures cannot be written: {error}") from error


def _numbers(rates: str) -> list[float]:
    try:
        numbers = [float(rate) for rate in rates.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < 1e6 for number in numbers):
        raise CannotMeasure(f"rates: expected numbers above 0 with commas, received {rates!r}")
    return numbers


def _print(loads: list[load.Load]) -> None:
    names = [f"p{percentile}" for percentile in load.PERCENTILES]
    columns = [*(f"{name}, ms" for name in names), "sent late, p99 ms", "errors"]
    table = Table("requests/s", "answered/s", *columns)
    for measured in loads:
        latencies = [f"{measured.latency_ms.get(name, float('nan')):.1f}" for name in names]
        latencies.append(f"{measured.late_ms.get('p99', 0.0):.1f}")
        errors = ", ".join(f"{code} {n}" for code, n in sorted(measured.errors.items()))
        table.add_row(f"{measured.rate:g}", f"{measured.throughput:.1f}", *latencies, errors)
    Console(highlight=False, soft_wrap=True).print(table)


def _told(measured: load.Load) -> dict[str, float]:
    return {name: value for name, value in measured.latency_ms.items() if name != "max"}


def _refused(measured: load.Load) -> float:
    """The share that was not answered; of nothing that was sent, none."""
    return 1 - measured.answered / measured.sent if measured.sent else 0.0


def _file(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")
