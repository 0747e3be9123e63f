"""The `data_validation` section: what pairs must be like for a run to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from ..models.configuration import Section
from .drift import DriftLimits
from .measure_bitext import repeated_texts
from .row_lines import told_rejected

Share = Annotated[float, Field(ge=0, le=1)]


class DataValidationConfig(Section):
    """Limits; those left out are not looked at."""

    # A curated schema, as SchemaGen writes it: any anomaly of the examples is a breach.
    schema_file: Annotated[str, Field(min_length=1)] | None = None
    min_pairs: Annotated[int, Field(ge=1)] = 1
    max_rejected: Share | None = None  # of the rows that were read
    max_duplicates: Share | None = None  # of the pairs: those that came before
    max_identical: Share | None = None  # of the pairs: both sides the same
    max_placeholders_differ: Share | None = None  # of the pairs
    max_numbers_differ: Share | None = None  # of the pairs
    # Of the sources of validation and test: those that, letters, marks and digits alone, are
    # in train, too (or those of validation in test).
    max_leaked: Share | None = None
    # Of a sample of them: those with a near twin in train, which has so large a part of
    # their character 4-grams in common, and all digits. null looks for none.
    max_near_leaked: Share | None = None
    near_similarity: Annotated[float, Field(ge=0.5, le=1)] | None = 0.8

    # Of the words of validation and test, on the worse side: those that train never has.
    max_unknown_words: Share | None = None
    max_drift: DriftLimits = DriftLimits()

    @property
    def limits_drift(self) -> bool:
        """Whether pairs are compared with those of the span before."""
        return any(limit is not None for limit in self.max_drift.model_dump().values())

    @model_validator(mode="after")
    def _looks_for_what_it_limits(self) -> DataValidationConfig:
        if self.max_near_leaked is not None and self.near_similarity is None:
            raise ValueError("expected near_similarity where there is max_near_leaked")
        return self


class Breach(NamedTuple):
    """A limit that does not hold."""

    limit: str
    allowed: float
    found: float
    examples: list[str]

    def __str__(self) -> str:
        sign = "at least" if self.limit.startswith("min_") else "at most"
        found, allowed = map(_told, (self.found, self.allowed))
        what = f"data_validation.{self.limit}: found {found}, {sign} {allowed}"
        return "\n  ".join([what, *self.examples])


def _told(figure: float) -> str:
    """A count as it is, a share in six digits."""
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:g}"


def figures(statistics: dict[str, Any], counts: dict[str, Any]) -> dict[str, float]:
    """What each limit is compared with.

    Args:
      statistics: of `MeasureBitext`.
      counts: `read` rows and those `rejected`, by reason.
    """
    pairs = max(1, statistics["pairs"])
    held_out = max(1, sum(statistics["held_out_sources"].values()))
    near = statistics.get("near_leaks", {"looked_at": {}, "found": {}})
    return {
        "min_pairs": statistics["pairs"],
        "max_rejected": sum(counts["rejected"].values()) / max(1, counts["read"]),
        "max_duplicates": statistics["duplicates"] / pairs,
        "max_identical": statistics["faults"]["identical"] / pairs,
        "max_placeholders_differ": statistics["faults"]["placeholders"] / pairs,
        "max_numbers_differ": statistics["faults"]["numbers"] / pairs,
        "max_leaked": sum(statistics["leaked_sources"].values()) / held_out,
        "max_unknown_words": max(
            (side["unknown"] for side in statistics.get("vocabulary", {}).values()), default=0.0
        ),
        "max_near_leaked": sum(near["found"].values()) / max(1, sum(near["looked_at"].values())),
    }


def breaches(
    config: DataValidationConfig,
    statistics: dict[str, Any],
    counts: dict[str, Any],
    pairs: Callable[[], Iterable[tuple[str, str]]] = list,
) -> list[Breach]:
    """The limits that do not hold, each with up to ten examples.

    Args:
      config: the `data_validation` section.
      statistics: of `MeasureBitext`.
      counts: `read` rows and those `rejected`, by reason, and `examples` of these.
      pairs: reads all pairs once more, to show those that are repeated.
    """
    examples = {
        f"max_{name if name == 'identical' else f'{name}_differ'}": [
            f"{source!r} / {target!r}" for source, target in rows
        ]
        for name, rows in statistics["examples"].items()
    }
    examples["max_leaked"] = [
        f"{source!r}, in {split} and in {into}" for split, into, source in statistics["leaks"]
    ]
    near = statistics.get("near_leaks", {"examples": []})["examples"]
    examples["max_near_leaked"] = [
        f"{source!r} in {split}, {twin!r} in train: {similarity:.2f}"
        for split, source, twin, similarity in near
    ]
    examples["max_unknown_words"] = [
        f"{word!r} in the {side}"
        for side, found in statistics.get("vocabulary", {}).items()
        for word in found["unknown_words"]
    ]
    rejected = told_rejected(counts["rejected"], counts.get("examples", {}))
    examples["max_rejected"] = examples["min_pairs"] = rejected
    found = []
    for limit, figure in figures(statistics, counts).items():
        allowed = getattr(config, limit)
        if allowed is None:
            continue
        if figure < allowed if limit.startswith("min_") else figure > allowed:
            if limit == "max_duplicates":
                examples[limit] = [
                    f"{number:,} times {source!r} / {target!r}"
                    for number, source, target in repeated_texts(statistics["repeated"], pairs())
                ]
            found.append(Breach(limit, allowed, figure, examples.get(limit, [])[:10]))
    for section, moved in statistics.get("drift", {}).items():
        allowed = getattr(config.max_drift, section)
        if allowed is not None and moved["distance"] > allowed:
            told = [
                f"{what!r}, {s}: {old:.2%}, now {new:.2%}" for s, what, old, new in moved["items"]
            ]
            found.append(Breach(f"max_drift.{section}", allowed, moved["distance"], told[:10]))
    return found
