"""A figure of what a model says to the validation split, while it is trained."""

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
from .metrics import MEASURES

ROWS = 64  # decoded at a time


class DecodedValidation:
    """Decodes a sample of the validation split greedily and scores the answers.

    Sources and references are what the tokenizers make of the text and back, so that
    a figure may differ a little from that of Evaluator, which also searches as the
    export does. It is the same sample each time, of all lengths alike.

    Args:
      model: whose weights are asked as they are.
      source_tokenizer, target_tokenizer: of both sides.
      search: of the export; its limits of length hold here, too.
      data: the validation split, as `training_data.batches` gives it.
      metric: of `metrics.MEASURES`.
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
        metric: str,
        examples: int,
        max_tokens: int,
    ):
        self.metric, self._measure = metric, MEASURES[metric]
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
        self._pairs = [pairs[place] for place in places]

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger figure is a better one."""
        return self._measure.higher_is_better

    def __call__(self) -> float:
        """The figure of the model as it is."""
        sums: np.ndarray = np.zeros(1)
        for start in range(0, len(self._pairs), ROWS):
            some = self._pairs[start : start + ROWS]
            answers = self._predictor.best(tf.constant([source for source, _ in some]))
            for (source, reference), text in zip(some, answers[features.TEXT].numpy(), strict=True):
                sentence = Sentence(
                    text.decode("utf-8", "replace"),
                    (reference.decode("utf-8", "replace"),),
                    source.decode("utf-8", "replace"),
                )
                sums = sums + np.asarray(self._measure.statistics(sentence))
        return self._measure.figure(sums.tolist())


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
