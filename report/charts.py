"""What a run's page draws: figures as places on scales, in percent or in a plot's units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

LEFT, RIGHT, TOP, BOTTOM = 56.0, 628.0, 12.0, 184.0  # of the curve, in a plot of 640 by 220
MARKS = 12  # epochs with a number, at most
SLICES = 200  # rows, at most


class Epoch(NamedTuple):
    """What training told of an epoch."""

    loss: float
    validation_loss: float | None


def metric_rows(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """Each metric with its models' figures and intervals, and where they lie on one scale."""
    rows = []
    for name, figure in verdict["candidate"].items():
        drawn: list[dict[str, Any]] = []
        for model in ("candidate", "baseline"):
            if verdict[model]:
                interval = verdict["intervals"][model][name]
                drawn.append({"model": model, "figure": verdict[model][name], "interval": interval})
        ends = [end for m in drawn for end in [*m["interval"], m["figure"]] if end is not None]
        low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
        room = (high - low) * 0.15 or max(abs(high) * 0.1, 0.05)
        for one in drawn:
            for key, value in zip(
                ("low", "high", "at"), (*one["interval"], one["figure"]), strict=True
            ):
                one[key] = _place(value, low - room, high + room)
        signature = verdict["signatures"].get(name, "")
        rows.append({"name": name, "figure": figure, "models": drawn, "signature": signature})
    return rows


def rule_row(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule, and of a comparison where loss, bound and margin lie on one scale around 0."""
    words = rule["rule"].replace("<=", "\N{LESS-THAN OR EQUAL TO}")
    words = words.replace(">=", "\N{GREATER-THAN OR EQUAL TO}")
    shown = {**rule, "rule": words, "drawn": False}
    if rule["bound"] is not None and rule["figure"] is not None:
        ends = [0.0, rule["figure"], rule["bound"], rule["limit"]]
        low, high = min(ends), max(ends)
        room = (high - low) * 0.1 or 1.0
        places = {
            key: _place(value, low - room, high + room)
            for key, value in zip(("zero", "loss", "upper", "margin"), ends, strict=True)
        }
        shown |= {"drawn": True, **places}
    return shown


def slice_rows(verdict: dict[str, Any], metric: str = "") -> dict[str, Any]:
    """The slices with a bar for a metric, the first if ''; bars are from 0 to 100 wide.

    Of very many those are told that rules judge, and the largest.
    """
    name = metric or verdict["rules"][0]["metric"]
    judged = {rule["slice"] for rule in verdict["rules"]}
    slices = verdict["slices"]
    order = sorted(slices, key=lambda row: (row["slice"] not in judged, -row["examples"]))
    told = {row["slice"] for row in order[:SLICES]}
    shown = [row for row in slices if row["slice"] in told]
    figures = [row["candidate"].get(name) for row in shown]
    most = max([abs(f) for f in figures if f is not None] or [0.0]) or 1.0
    rows = [
        {**row, "figure": figure, "bar": 100 * abs(figure or 0.0) / most}
        for row, figure in zip(shown, figures, strict=True)
    ]
    return {
        "metric": name,
        "rows": rows,
        "untold": len(slices) - len(rows),
        "baseline": verdict["baseline"] is not None,
    }


def curve(epochs: Sequence[Epoch]) -> dict[str, Any] | None:
    """The losses as points in a plot, with the marks of its axes; None of no number."""
    series: dict[str, list[float | None]] = {
        "training": [epoch.loss for epoch in epochs],
        "validation": [epoch.validation_loss for epoch in epochs],
    }
    known = [v for values in series.values() for v in values if v is not None and math.isfinite(v)]
    if not known:
        return None
    low, high = min(known), max(known)
    step = _step(high - low)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    high = high if high > low else low + step

    def x(place: int) -> float:
        return LEFT + (RIGHT - LEFT) * (place + 0.5) / len(epochs)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    lines = []
    for name, values in series.items():
        points = [
            (round(x(i), 1), round(y(value), 1), i + 1, value)
            for i, value in enumerate(values)
            if value is not None and math.isfinite(value)
        ]
        if points:
            path = " ".join(f"{px},{py}" for px, py, *_ in points)
            lines.append({"name": name, "points": points, "path": path, "last": points[-1][-1]})
    every = max(1, math.ceil(len(epochs) / MARKS))
    count = round((high - low) / step)
    return {
        "lines": lines,
        "left": LEFT,
        "right": RIGHT,
        "bottom": BOTTOM,
        "x_marks": [(round(x(i), 1), i + 1) for i in range(0, len(epochs), every)],
        "y_marks": [
            (round(y(low + i * step), 1), f"{low + i * step:.10g}") for i in range(count + 1)
        ],
        "epochs": len(epochs),
    }


def _step(span: float) -> float:
    """A round distance between marks, three to seven of which fit into a span."""
    if span <= 0:
        return 0.1
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough)


def _place(value: float | None, low: float, high: float) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(100 * (value - low) / (high - low), 2)
