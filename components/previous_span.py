"""Which pairs those of a run are compared with: the span before."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.common import resolver
from tfx.types.channel import Channel

from .artifacts import BitextReport


class BeforeExamples(resolver.ResolverStrategy):
    """Resolves the newest report that was there before the examples were.

    A report of the same examples is newer than they are, so a run that is repeated with
    nothing changed is compared with what it was compared with, and comes from the cache.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Keeps of `report` the newest one that is older than all `examples`, or none."""
        examples = input_dict["examples"]
        older = [
            report
            for report in input_dict["report"]
            if examples and report.id < max(artifact.id for artifact in examples)
        ]
        newest = max(older, key=lambda report: report.id, default=None)
        return {"examples": examples, "report": [newest] if newest else []}


def previous_span_resolver(examples: types.BaseChannel) -> resolver.Resolver:
    """A node whose output `report` is that of the span before, if there is one."""
    return resolver.Resolver(
        strategy_class=BeforeExamples,
        examples=examples,
        report=Channel(type=BitextReport),
    ).with_id("PreviousSpan")
