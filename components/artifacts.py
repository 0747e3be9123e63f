"""Artifact types of our own, beside TFX's standard ones."""

from __future__ import annotations

from tfx.types.artifact import Artifact


class RejectedPairs(Artifact):
    """What ingestion did not keep: `rejected.jsonl`, and the counts in `counts.json`."""

    TYPE_NAME = "Seq2SeqRejectedPairs"


class BitextReport(Artifact):
    """What text pairs are like: `statistics.json`, and `report.html` for people."""

    TYPE_NAME = "Seq2SeqBitextReport"


class TokenizerModel(Artifact):
    """The SentencePiece models of both sides, and their vocabularies to read."""

    TYPE_NAME = "Seq2SeqTokenizerModel"


class GateVerdict(Artifact):
    """Why a model was blessed or not: `verdict.json`."""

    TYPE_NAME = "Seq2SeqGateVerdict"


class EvaluatedSentences(Artifact):
    """Each evaluated source with its answers and their statistics: see `sentences`."""

    TYPE_NAME = "Seq2SeqEvaluatedSentences"


class NamedModel(Artifact):
    """A pushed model in another form: the SavedModel in `model`, and `named_export.json`."""

    TYPE_NAME = "Seq2SeqNamedModel"
