"""The scan against a loop of Python."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.scan import scan

from .tiny import ON_TENSORFLOW

BATCH, UNITS, INPUTS = 3, 4, 2


def problem(steps):
    """A recurrence with nested state and inputs, and outputs of other shapes than the state."""
    rng = np.random.default_rng(0)
    kernel = ops.convert_to_tensor(rng.normal(size=(UNITS + INPUTS, UNITS)).astype("float32"))
    state = {
        "h": ops.convert_to_tensor(rng.normal(size=(BATCH, UNITS)).astype("float32")),
        "none": [],
        "sums": [ops.zeros((BATCH,))],
    }
    inputs = (
        ops.convert_to_tensor(rng.normal(size=(steps, BATCH, INPUTS)).astype("float32")),
        [ops.convert_to_tensor(rng.uniform(size=(steps, BATCH, 1)).astype("float32"))],
    )
    return kernel, state, inputs


def recurrence(kernel):
    def advance(state, inputs):
        x, (gate,) = inputs
        h = ops.tanh(ops.matmul(ops.concatenate([state["h"], x], axis=-1), kernel)) * gate
        total = state["sums"][0] + ops.sum(h, axis=-1)
        outputs = (h[:, :2], {"outer": h[:, :, None] * h[:, None, :]}, ())
        return {"h": h, "none": [], "sums": [total]}, outputs

    return advance


def by_python(advance, state, inputs):
    steps, outputs = keras.tree.flatten(inputs)[0].shape[0], []
    for t in range(steps):
        now = keras.tree.map_structure(lambda x: x[t], inputs)  # noqa: B023
        state, output = advance(state, now)
        outputs.append(output)
    return state, keras.tree.map_structure(lambda *x: ops.stack(x), *outputs)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_scan_gives_what_a_loop_gives(steps):
    kernel, state, inputs = problem(steps)
    found = scan(recurrence(kernel), state, inputs)
    expected = by_python(recurrence(kernel), state, inputs)
    keras.tree.assert_same_structure(found, expected)
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="TensorFlow's tape")
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
def test_the_gradient_is_that_of_the_loop_unrolled(steps, in_graph):
    import tensorflow as tf

    kernel, state, inputs = problem(steps)

    def gradients(loop):
        watched = [kernel, state["h"], *keras.tree.flatten(inputs)]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            last, outputs = loop(recurrence(kernel), state, inputs)
            flat = keras.tree.flatten((last, outputs))
            loss = sum(tf.reduce_sum(x * x * (i + 1)) for i, x in enumerate(flat))
        return tape.gradient(loss, watched)

    scanned = (tf.function(gradients) if in_graph else gradients)(scan)
    for one, other in zip(scanned, gradients(by_python), strict=True):
        assert np.abs(other).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="axes of unknown length")
def test_a_graph_may_learn_the_number_of_steps_and_rows_as_it_runs():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, None, UNITS])])
    def sums(inputs):
        state = tf.zeros(tf.shape(inputs)[1:])
        return scan(lambda state, x: (state + x, state + x), state, inputs)

    for steps in (1, 3):
        inputs = np.random.default_rng(0).normal(size=(steps, 2, UNITS)).astype("float32")
        last, outputs = sums(inputs)
        np.testing.assert_allclose(outputs, inputs.cumsum(axis=0), atol=1e-6)
        np.testing.assert_allclose(last, inputs.sum(axis=0), atol=1e-6)
