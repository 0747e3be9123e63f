"""The recurrent layer against the equations of the LSTM, written out in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.cells import LSTMCell, Recurrent

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
LENGTHS = np.array([6, 1, 4, 2])
MASK = np.arange(TIME) < LENGTHS[:, None]
HOLES = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1], [0, 0, 1, 1, 1, 0], [1] * 6], bool)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(layer, inputs, mask=None, initial=None, reverse=False):
    """i, f, o = sigmoid(Wx + Uh + b), g = tanh(...), c' = fc + ig, h' = o tanh(c')."""
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.input_projection.weights)
    recurrent = ops.convert_to_numpy(layer.cell.recurrent_kernel)
    w, u, b = (np.split(x, 4, axis=-1) for x in (kernel, recurrent, bias))
    batch, time, _ = inputs.shape
    h, c = initial if initial is not None else np.zeros((2, batch, layer.units))
    outputs = np.zeros((batch, time, layer.units))
    for t in reversed(range(time)) if reverse else range(time):
        i, f, o, g = (inputs[:, t] @ w[k] + h @ u[k] + b[k] for k in range(4))
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        new_h = sigmoid(o) * np.tanh(new_c)
        keep = np.ones((batch, 1), bool) if mask is None else mask[:, t : t + 1]
        h, c = np.where(keep, new_h, h), np.where(keep, new_c, c)
        outputs[:, t] = h
    return outputs, h, c


def make(reverse=False):
    """A layer whose every weight is random: with zero biases a gate could be swapped unseen."""
    layer = Recurrent("lstm", UNITS, reverse)
    layer(np.zeros((1, 2, FEATURES), "float32"))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def random_inputs():
    return np.random.default_rng(2).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


@pytest.mark.parametrize("given_state", [False, True], ids=["from_zeros", "from_given_state"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_run_equals_the_equations_in_the_order_of_the_inputs(reverse, mask, given_state):
    layer, inputs = make(reverse), random_inputs()
    initial = None
    if given_state:
        initial = np.random.default_rng(3).normal(size=(2, BATCH, UNITS)).astype("float32")
    outputs, (h, c) = layer(inputs, mask, None if initial is None else list(initial))
    expected, expected_h, expected_c = lstm(layer, inputs, mask, initial, reverse)
    real = np.ones((BATCH, TIME), bool) if mask is None else mask
    np.testing.assert_allclose(outputs[real], expected[real], atol=1e-5)
    np.testing.assert_allclose(h, expected_h, atol=1e-5)
    np.testing.assert_allclose(c, expected_c, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_a_masked_position_anywhere_leaves_the_state_as_it_was(reverse):
    layer, inputs = make(reverse), random_inputs()
    outputs, (h, c) = layer(inputs, HOLES)
    for row, mask in enumerate(HOLES):  # as if the masked inputs had never been there
        alone, (alone_h, alone_c) = layer(inputs[row, mask][None])
        np.testing.assert_allclose(outputs[row][mask], alone[0], atol=1e-5)
        np.testing.assert_allclose(h[row], alone_h[0], atol=1e-5)
        np.testing.assert_allclose(c[row], alone_c[0], atol=1e-5)


def test_steps_one_after_the_other_equal_the_full_run():
    layer, inputs = make(), random_inputs()
    initial = list(np.random.default_rng(4).normal(size=(2, BATCH, UNITS)).astype("float32"))
    outputs, last = layer(inputs, initial_state=initial)
    states = initial
    for t in range(TIME):
        output, states = layer.step(inputs[:, t], states)
        np.testing.assert_allclose(output, outputs[:, t], atol=1e-5)
    for state, expected in zip(states, last, strict=True):
        np.testing.assert_allclose(state, expected, atol=1e-5)


def test_the_forget_gate_alone_starts_open():
    layer = Recurrent("lstm", UNITS)
    layer(np.zeros((1, 2, FEATURES), "float32"))
    i, f, o, g = np.split(ops.convert_to_numpy(layer.input_projection.bias), 4)
    np.testing.assert_array_equal(f, 1.0)
    np.testing.assert_array_equal([i, o, g], 0.0)
    # Which quarter is f shows in what it does: a closed one empties the memory.
    bias = np.zeros(4 * UNITS, "float32")
    bias[UNITS : 2 * UNITS] = -100.0
    memory = np.full((1, UNITS), 3.0, "float32")
    cell = layer.cell
    _, (_, kept) = cell(bias[None], [np.zeros((1, UNITS), "float32"), memory])
    np.testing.assert_allclose(kept, 0.0, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_a_layer_made_from_its_config_computes_the_same(reverse):
    layer, inputs = make(reverse), random_inputs()
    twin = Recurrent.from_config(layer.get_config())
    twin(inputs)
    twin.set_weights(layer.get_weights())
    (outputs, states), (twin_outputs, twin_states) = layer(inputs, MASK), twin(inputs, MASK)
    np.testing.assert_array_equal(outputs, twin_outputs)
    np.testing.assert_array_equal(states, twin_states)


def test_a_cell_made_from_its_config_computes_the_same():
    layer, inputs = make(), random_inputs()
    states = [np.ones((BATCH, UNITS), "float32")] * 2
    twin = LSTMCell.from_config(layer.cell.get_config())
    twin.build((BATCH, 4 * UNITS))
    twin.set_weights(layer.cell.get_weights())
    projected = layer.input_projection(inputs[:, 0])
    np.testing.assert_array_equal(layer.cell(projected, states)[0], twin(projected, states)[0])


def test_the_initial_bias_survives_serialization():
    bias = LSTMCell.initial_bias(UNITS)
    twin = keras.initializers.deserialize(keras.initializers.serialize(bias))
    np.testing.assert_array_equal(twin((4 * UNITS,)), bias((4 * UNITS,)))
