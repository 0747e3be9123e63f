"""Which model a candidate is compared with."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.common import resolver
from tfx.types import standard_artifacts
from tfx.types.channel import Channel


class BeforeCandidate(resolver.ResolverStrategy):
    """Resolves the last blessed model that is older than the candidate.

    TFX's `LatestBlessedModelStrategy` would find the candidate itself when it
    was trained and blessed by an earlier run, and a re-run with nothing changed
    would evaluate a model against itself instead of coming from the cache.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Keeps of `model` and `model_blessing` the baseline's, or none."""
        candidates = [model.id for model in input_dict["candidate"]]
        blessings = {}
        for blessing in sorted(input_dict["model_blessing"], key=lambda artifact: artifact.id):
            blessings[blessing.get_int_custom_property("current_model_id")] = blessing
        older = [
            model
            for model in input_dict["model"]
            if candidates
            and model.id < max(candidates)
            and model.id in blessings
            and blessings[model.id].get_int_custom_property("blessed") == 1
        ]
        baseline = max(older, key=lambda model: model.id, default=None)
        return {
            "candidate": input_dict["candidate"],
            "model": [baseline] if baseline else [],
            "model_blessing": [blessings[baseline.id]] if baseline else [],
        }


def baseline_resolver(candidate: types.BaseChannel) -> resolver.Resolver:
    """A node whose output `model` is the baseline of a candidate, if there is one."""
    return resolver.Resolver(
        strategy_class=BeforeCandidate,
        candidate=candidate,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("Baseline")
