"""The page about text pairs: what was read, what was kept, and what the kept ones are like.

One HTML file without scripts or anything from elsewhere. All text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

from .bars import Bar, bar_chart
from .svg import to_svg

STYLE = (
    "body{font:15px/1.5 'Noto Sans','DejaVu Sans',sans-serif;max-width:60em;margin:2em auto;"
    "padding:0 1em;color:#1a1a1a}table{border-collapse:collapse}td,th{text-align:left;"
    "padding:.2em .8em .2em 0;border-bottom:1px solid #d0d0d0;vertical-align:top}"
    "td.n{text-align:right}.bad{color:#b00020}img{max-width:100%}"
)


def bitext_page(report: dict[str, Any], lengths: Sequence[int], ratios: Sequence[float]) -> str:
    """The page.

    Args:
      report: `read`, `kept`, `rejected`, `examples`, `statistics` and `breaches`.
      lengths: lower ends of the bins of lengths, in characters.
      ratios: those of length ratios, in powers of two.
    """
    statistics = report["statistics"]
    bins = [f"{low:,}" for low in lengths]
    parts = [
        "<h1>Text pairs</h1>",
        f"<p>{report['read']:,} rows read, {report['kept']:,} pairs kept, "
        f"{sum(report['rejected'].values()):,} rows rejected.</p>",
        *_breaches(report["breaches"]),
        *_rejected(report),
        "<h2>Lengths</h2>",
        *(
            _picture(f"Lengths of the {side}, in characters", bins, statistics["lengths"][side])
            for side in ("source", "target")
        ),
        _picture(
            "Target to source, in characters",
            [f"{2**low:.2g}" for low in ratios],
            statistics["ratios"],
        ),
        "<h2>Writing systems</h2>",
        *(
            _picture(f"Of the {side}", list(found), list(found.values()))
            for side, found in statistics["scripts"].items()
            if found
        ),
        *_agreement(statistics),
        *_leaks(statistics),
    ]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>Text pairs</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _picture(title: str, names: Sequence[str], values: Sequence[int]) -> str:
    bars = [Bar(name, value) for name, value in zip(names, values, strict=True)]
    # As an image of its own: several drawings in one page would share their ids.
    svg = base64.b64encode(to_svg(bar_chart(title, bars)).encode()).decode()
    told = escape(title, quote=True)
    return f'<p><img alt="{told}" src="data:image/svg+xml;base64,{svg}"></p>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = (
        "".join(
            f'<td class="n">{cell:,}</td>'
            if isinstance(cell, int)
            else f'<td dir="auto">{escape(str(cell))}</td>'
            for cell in row
        )
        for row in rows
    )
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _breaches(breaches: Sequence[dict[str, Any]]) -> list[str]:
    parts = []
    for breach in breaches:
        found = f"{breach['limit']}: found {breach['found']:.4g}, allowed {breach['allowed']:.4g}"
        parts.append(f'<p class="bad"><strong>{escape(found)}</strong></p>')
        if breach["examples"]:
            parts.append(_table(["examples"], [[text] for text in breach["examples"]]))
    return parts


def _rejected(report: dict[str, Any]) -> list[str]:
    if not report["rejected"]:
        return []
    counts = sorted(report["rejected"].items(), key=lambda item: -item[1])
    rows = [
        [reason, number, f"{row['file']}:{row['line']}: {row['detail']}", row["text"]]
        for reason, number in counts
        for row in report["examples"].get(reason, [])[:1] or [dict.fromkeys(_KEYS, "")]
    ]
    return ["<h2>Rejected</h2>", _table(["reason", "rows", "the first of them", "text"], rows)]


_KEYS = ("file", "line", "detail", "text")


def _agreement(statistics: dict[str, Any]) -> list[str]:
    rows = [["repeated pairs", statistics["duplicates"]]]
    rows += [[f"{name}: sides disagree", n] for name, n in statistics["faults"].items()]
    rows[1][0] = "both sides the same"
    parts = ["<h2>What pairs have in common</h2>", _table(["", "pairs"], rows)]
    for name, examples in statistics["examples"].items():
        if examples:
            parts += [f"<h3>{escape(name)}</h3>", _table(["source", "target"], examples)]
    return parts


def _leaks(statistics: dict[str, Any]) -> list[str]:
    rows = [
        [split, number, statistics["leaked_sources"][split]]
        for split, number in statistics["held_out_sources"].items()
    ]
    parts = [
        "<h2>Leakage between splits</h2>",
        "<p>Sources that differ from one in another split in nothing but letter case, "
        "punctuation and spacing.</p>",
        _table(["split", "sources", "leaked"], rows),
    ]
    if statistics["leaks"]:
        parts.append(_table(["split", "is also in", "source"], statistics["leaks"]))
    return parts
