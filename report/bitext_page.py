"""The page about text pairs: what was read, what was kept, and what the kept ones are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .bars import Bar, bar_chart
from .html_document import as_image, html_document
from .length_map import length_map
from .picture import Picture


def bitext_page(report: dict[str, Any], lengths: Sequence[int], ratios: Sequence[float]) -> str:
    """Writes the page.

    Args:
      report: `read`, `kept`, `rejected`, `examples`, `compared_in_part`, `statistics` and
        `breaches`.
      lengths: lower ends of the bins of lengths, in characters.
      ratios: those of length ratios, in powers of two.
    """
    statistics = report["statistics"]
    bins = [f"{low:,}" for low in lengths]
    return html_document(
        "bitext.html",
        report=report,
        statistics=statistics,
        rejected=_rejected(report),
        lengths=[
            *(
                _bars(f"Lengths of the {side}, in characters", bins, statistics["lengths"][side])
                for side in ("source", "target")
            ),
            _bars(
                "Target to source, in characters",
                [f"{2**low:.2g}" for low in ratios],
                statistics["ratios"],
            ),
            as_image(length_map("Lengths of both sides", bins, statistics["together"])),
        ],
        scripts=[
            _bars(f"Of the {side}", list(found), list(found.values()))
            for side, found in statistics["scripts"].items()
            if found
        ],
        agreement=[
            ["repeated pairs", statistics["duplicates"]],
            *([_fault(name), number] for name, number in statistics["faults"].items()),
        ],
        leakage=[
            [split, number, statistics["leaked_sources"][split]]
            for split, number in statistics["held_out_sources"].items()
        ],
        vocabulary=[
            [
                side,
                found["tokens"],
                *(f"{share:.1%}" for share in found["coverage"].values()),
                found["held_out_tokens"],
                f"{found['unknown']:.2%}",
                ", ".join(found["unknown_words"]),
            ]
            for side, found in statistics["vocabulary"].items()
            if found["tokens"]
        ],
        drift=_drift(statistics.get("drift", {})),
        near=_near(statistics.get("near_leaks")),
        capped=(statistics.get("near_leaks") or {}).get("capped", 0),
    )


def _bars(title: str, names: Sequence[str], values: Sequence[int]) -> tuple[Picture, str]:
    bars = [Bar(name, value) for name, value in zip(names, values, strict=True)]
    return as_image(bar_chart(title, bars))


def _rejected(report: dict[str, Any]) -> list[list[Any]]:
    """Each reason with its number and, where one is at hand, its first row."""
    rows = []
    for reason, number in sorted(report["rejected"].items(), key=lambda item: -item[1]):
        first = report["examples"].get(reason, [])[:1]
        place = [f"{row['file']}:{row['line']}: {row['detail']}" for row in first] or [""]
        rows.append([reason, number, *place, *([row["text"] for row in first] or [""])])
    return rows


def _drift(found: dict[str, Any]) -> dict[str, Any] | None:
    """The distances as a picture, and what moved most."""
    if not found:
        return None
    bars = [Bar(section, moved["distance"]) for section, moved in found.items()]
    items = [
        [section, side, what, f"{old:.2%}", f"{new:.2%}"]
        for section, moved in found.items()
        for side, what, old, new in moved["items"]
    ]
    title = "Distance from the span before, in bits"
    return {"picture": as_image(bar_chart(title, bars)), "items": items}


def _near(found: dict[str, Any] | None) -> list[list[Any]]:
    """Of each split how many sources were looked at and have a twin; nothing if none were."""
    if not found:
        return []
    return [[split, number, found["found"][split]] for split, number in found["looked_at"].items()]


def _fault(name: str) -> str:
    return "both sides the same" if name == "identical" else f"{name}: sides disagree"
