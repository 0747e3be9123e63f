"""The export where there is no Python, by the loader that TensorFlow Serving calls."""

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.serving.server.servable import Servable
from seq2seq_tfx.serving.warm_up import read_warm_up

from ..scripts import script

pytestmark = [pytest.mark.slow, pytest.mark.modern]

without_python = script("benchmarks/without_python").without_python


def arrays(request):
    return {name: tf.make_ndarray(value) for name, value in request.inputs.items()}


def test_the_requests_that_an_export_brings_are_answered_as_from_a_session(exported, tmp_path):
    requests = [
        (request.model_spec.signature_name, arrays(request))
        for request in read_warm_up(str(exported.directory))
    ]
    servable = Servable(1, exported.directory)
    assert {name for name, _ in requests} == set(servable.signatures)
    answers = without_python(exported.directory, requests, tmp_path)
    for (name, inputs), found in zip(requests, answers, strict=True):
        expected = servable.run(name, inputs)
        assert set(found) == set(expected)
        for key, values in expected.items():
            assert found[key].shape == values.shape
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found[key], values, atol=1e-5)
            else:
                np.testing.assert_array_equal(found[key], values)
    servable.close()


def test_what_the_graph_refuses_is_told(exported, tmp_path):
    short = {"text": np.array([b"a"], object), "reference": np.array([], object)}
    with pytest.raises(RuntimeError, match=r"(?s)exit code 1: .*without_python: assertion failed"):
        without_python(exported.directory, [("teacher_forcing", short)], tmp_path)
