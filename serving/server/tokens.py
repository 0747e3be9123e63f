"""How many tokens go in and come out, by the export's own SentencePiece models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import sentencepiece

from ...models import features
from ..export_record import FOLDER
from ..tokenizer import SOURCE_MODEL, TARGET_MODEL
from .metrics import Metrics
from .servable import Servable

Arrays = dict[str, np.ndarray]


def counting(servable: Servable, metrics: Metrics) -> Callable[[str, Arrays], Arrays]:
    """Answers as a version does, and counts tokens in the thread that answers.

    Args:
      servable: the version. Where its tokenizers do not lie beside it, as beside a form in
        fewer bytes, nothing is counted.
      metrics: where they are counted.
    """
    folder = servable.directory / FOLDER
    tokenizers = _tokenizer(folder / SOURCE_MODEL), _tokenizer(folder / TARGET_MODEL)

    def run(signature: str, inputs: Arrays) -> Arrays:
        outputs = servable.run(signature, inputs)
        sides = zip(("source", "target"), tokenizers, (inputs, outputs), strict=True)
        for side, tokenizer, arrays in sides:
            texts = arrays.get(features.TEXT)
            if tokenizer and texts is not None and texts.size:
                # Of several hypotheses the best: the first.
                first = texts.reshape(len(texts), -1)[:, 0].tolist()
                # Text by text: for a list SentencePiece starts threads, and waits for them.
                tokens = sum(len(tokenizer.encode(text)) for text in first)
                metrics.tokens.labels(signature, side).inc(tokens)
        return outputs

    return run


def _tokenizer(path: Path) -> sentencepiece.SentencePieceProcessor | None:
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    except (OSError, RuntimeError):
        return None
