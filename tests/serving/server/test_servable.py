"""A loaded version: one graph for requests of every shape."""

from pathlib import Path

import numpy as np
import pytest

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.server.servable import Servable

pytestmark = pytest.mark.slow


def test_nothing_is_traced_again_for_mixed_lengths_and_rows(exported):
    servable = Servable(1, Path(exported.directory))
    graph = servable._session.graph
    before = graph.version  # grows with every op
    for length, rows in ((1, 1), (3, 5), (40, 2), (0, 3), (2, 0), (7, 64)):
        text = np.array([b"q" * length] * rows, object)
        outputs = servable.run(features.SERVING_SIGNATURE, {features.TEXT: text})
        assert outputs[features.TEXT].shape == (rows,)
    assert graph.version == before
    servable.close()
