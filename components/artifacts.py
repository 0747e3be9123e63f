"""Artifact types of our own, beside TFX's standard ones.

Kubeflow Pipelines takes a type's name as NAMESPACE.Title, and nothing else.
"""

from __future__ import annotations

from tfx.types.artifact import Artifact


class RejectedPairs(Artifact):
    """What ingestion did not keep: `rejected.jsonl`, and the counts in `counts.json`."""

    TYPE_NAME = "seq2seq.RejectedPairs"


class BitextReport(Artifact):
    """What text pairs are like: `statistics.json`, and `report.html` for people."""

    TYPE_NAME = "seq2seq.BitextReport"


class TokenizerModel(Artifact):
    """The SentencePiece models of both sides, and their vocabularies to read."""

    TYPE_NAME = "seq2seq.TokenizerModel"


class GateVerdict(Artifact):
    """Why a model was blessed or not: `verdict.json`."""

    TYPE_NAME = "seq2seq.GateVerdict"


class EvaluatedSentences(Artifact):
    """Each evaluated source with its answers and their statistics: see `sentences`."""

    TYPE_NAME = "seq2seq.EvaluatedSentences"


class NamedModel(Artifact):
    """A pushed model in another form: the SavedModel in `model`, and `named_export.json`."""

    TYPE_NAME = "seq2seq.NamedModel"


class Predictions(Artifact):
    """The answers to files of lines: `predictions-*.jsonl`, and how many in `counts.json`."""

    TYPE_NAME = "seq2seq.Predictions"


OWN_TYPES = (
    RejectedPairs, BitextReport, TokenizerModel, GateVerdict, EvaluatedSentences, NamedModel,
    Predictions,
)  # fmt: skip
