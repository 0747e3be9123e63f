"""A search that XLA compiled answers as the plain one, for any rows and lengths."""

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.compiled_predictor import CompiledPredictor

pytestmark = pytest.mark.slow


def test_rows_and_sources_of_any_number_are_explained_as_by_the_plain_predictor(exported):
    plain = exported.predictor
    compiled = CompiledPredictor(
        exported.model,
        plain.source_tokenizer,
        plain.target_tokenizer,
        exported.search,
        exported.max_source_tokens,
    )
    for texts in (["the fox", "", "quick brown"], []):
        text = tf.constant(texts, tf.string, [len(texts)])
        expected, found = plain.explain(text), compiled.explain(text)
        for name, values in expected.items():
            assert found[name].shape == values.shape, name
            if values.dtype == tf.float32:
                np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)
            else:
                np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert features.ATTENTION in found
