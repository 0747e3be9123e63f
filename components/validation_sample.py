"""A few pairs of the validation split, answered while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ..models import features
from ..models.search_options import SearchConfig
from ..models.seq2seq import Seq2Seq
from ..serving.predictor import Predictor
from ..serving.tokenizer import Tokenizer
from .measure import Sentence

ROWS = 64  # decoded at a time


class ValidationSample:
    """Answers a sample of the validation split greedily.

    Sources and references are what the tokenizers make of the text and back. It is the
    same sample each time, of all lengths alike.

    Args:
      model: whose weights are asked as they are.
      source_tokenizer, target_tokenizer: of both sides.
      search: of the export; its limits of length hold here, too.
      data: the validation split, as `training_data.batches` gives it.
      examples: how many of them at most.
      max_tokens: of the longest source that is trained on.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        search: SearchConfig,
        data: tf.data.Dataset,
        examples: int,
        max_tokens: int,
    ):
        greedy = {"beam_size": 1, "max_beam_size": None, "temperature": 0.0}
        self._predictor = Predictor(
            model,
            source_tokenizer,
            target_tokenizer,
            search.model_copy(update=greedy),
            max_tokens,
        )
        pairs = list(_texts(data, source_tokenizer, target_tokenizer))
        places = np.unique(np.linspace(0, len(pairs) - 1, min(examples, len(pairs))).astype(int))
        self.pairs = [pairs[place] for place in places]

    def answers(self) -> Iterator[Sentence]:
        """Each source, its reference and what the model says now."""
        for start in range(0, len(self.pairs), ROWS):
            some = self.pairs[start : start + ROWS]
            said = self._predictor.best(tf.constant([source for source, _ in some]))
            for (source, reference), text in zip(some, said[features.TEXT].numpy(), strict=True):
                yield Sentence(_read(text), (_read(reference),), _read(source))

    def explained(self) -> Iterator[tuple[Sentence, list[str], list[str], np.ndarray]]:
        """The same, with the tokens of both sides and the attention [T, S] between them."""
        said = self._predictor.explain(tf.constant([source for source, _ in self.pairs]))
        found = {name: values.numpy() for name, values in said.items()}
        for row, (source, reference) in enumerate(self.pairs):
            length = found[features.SOURCE_LENGTH][row], found[features.TARGET_LENGTH][row, 0]
            yield (
                Sentence(_read(found[features.TEXT][row, 0]), (_read(reference),), _read(source)),
                [_read(token) for token in found[features.SOURCE_TOKENS][row, : length[0]]],
                [_read(token) for token in found[features.TARGET_TOKENS][row, 0, : length[1]]],
                found[features.ATTENTION][row, 0, : length[1], : length[0]],
            )


def _texts(
    data: tf.data.Dataset, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer
) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of batches as text."""
    for inputs, _ in data:
        # The target without its last token, which is EOS, and leaves no trace.
        yield from zip(
            source_tokenizer.detokenize(inputs[features.SOURCE_IDS]).numpy(),
            target_tokenizer.detokenize(inputs[features.TARGET_IDS]).numpy(),
            strict=True,
        )


def _read(text: bytes) -> str:
    return text.decode("utf-8", "replace")
