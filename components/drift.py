"""Drift: how far pairs are from those of the span before, section by section.

Two distributions are compared by their Jensen-Shannon divergence (Lin, 1991) in bits: 0
where they are the same, 1 where they have nothing in common. Of the two sides the one
that moved further counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ..models.configuration import Section
from .bitext_statistics import LENGTHS, RATIOS, TOLD_CHARACTERS
from .vocabulary_counts import TOLD_WORDS

Distance = Annotated[float, Field(ge=0, le=1)]
EXAMPLES = 10
OTHERS = "(others)"
MOST = {"characters": TOLD_CHARACTERS, "vocabulary": TOLD_WORDS}  # that statistics tell of each


class DriftLimits(Section):
    """The farthest that each may be from the span before, in bits from 0 to 1."""

    lengths: Distance | None = None
    ratios: Distance | None = None
    scripts: Distance | None = None
    characters: Distance | None = None
    vocabulary: Distance | None = None


def drift(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Of each section the distance, and what moved most: side, what, share before, share now.

    Args:
      now: the statistics of pairs.
      before: those of the span before.
    """
    found: dict[str, Any] = {}
    for section in DriftLimits.model_fields:
        sides = []
        for side, (old, new) in _distributions(section, before, now).items():
            most = MOST.get(section, len(old) + len(new) + 1)
            old, new = _filled(old, new, most), _filled(new, old, most)
            names = sorted({*old, *new})
            p, q = (np.array([part.get(name, 0.0) for name in names]) for part in (old, new))
            p, q = (part / max(1.0, part.sum()) for part in (p, q))
            moves = abs(q - p).round(9)  # what moved as far stands by its name
            moved = sorted(zip(-moves, names, p, q, strict=True))[:EXAMPLES]
            items = [[side, name, round(a, 6), round(b, 6)] for _, name, a, b in moved if a != b]
            sides.append((jensen_shannon(p, q), items))
        distance, items = max(sides, key=lambda one: one[0])
        found[section] = {"distance": round(distance, 6), "items": items}
    return found


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """The divergence of two distributions over the same items, in bits."""
    middle = (p + q) / 2
    parts = [
        float(np.sum(one[one > 0] * np.log2(one[one > 0] / middle[one > 0]))) for one in (p, q)
    ]
    return min(1.0, max(0.0, sum(parts) / 2))


def _distributions(
    section: str, before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, list[dict[str, float]]]:
    """Of each side the distribution before and now."""

    def both(get: Any) -> list[dict[str, float]]:
        return [_shares(*get(statistics)) for statistics in (before, now)]

    if section == "ratios":
        bins = [f"{2**low:.2g}" for low in RATIOS]
        return {"target to source": both(lambda s: (dict(zip(bins, s["ratios"], strict=True)),))}
    found = {}
    for side in ("source", "target"):
        if section == "lengths":
            names = [f"{low} characters and more" for low in LENGTHS]
            found[side] = both(
                lambda s, side=side, names=names: (
                    dict(zip(names, s["lengths"][side], strict=True)),
                )
            )
        elif section == "scripts":
            found[side] = both(lambda s, side=side: (s["scripts"][side],))
        elif section == "characters":
            found[side] = both(lambda s, side=side: (s["characters"][side],))
        else:
            found[side] = both(
                lambda s, side=side: (
                    s["vocabulary"][side]["words"],
                    s["vocabulary"][side]["tokens"],
                )
            )
    return found


def _filled(shares: dict[str, float], other: dict[str, float], most: int) -> dict[str, float]:
    """Shares with what a list of so many left out: at most as frequent as its last.

    Else what stands just before the end of one list and just behind that of the other
    would have come or gone.
    """
    told = [share for name, share in shares.items() if name != OTHERS]
    if len(told) < most:
        return shares
    least = min(told)
    left_out = {
        name: min(share, least)
        for name, share in other.items()
        if name not in shares and name != OTHERS
    }
    filled = {**shares, **left_out}
    if OTHERS in shares:
        filled[OTHERS] = max(0.0, shares[OTHERS] - sum(left_out.values()))
    return filled


def _shares(counts: Mapping[str, int], whole: int | None = None) -> dict[str, float]:
    """Counts as parts of the whole; what is left of it goes to all others."""
    total = max(1, whole if whole is not None else sum(counts.values()))
    shares = {name: number / total for name, number in counts.items()}
    rest = 1 - sum(shares.values())
    return {**shares, OTHERS: rest} if whole is not None and rest > 1e-12 else shares
