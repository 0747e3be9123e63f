"""The recurrent layer against the equations of its cells, for every cell."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.cells import CELLS, LSTMCell, Recurrent

from .equations import recurrence
from .tiny import randomize, twin

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
LENGTHS = np.array([6, 1, 4, 2])
MASK = np.arange(TIME) < LENGTHS[:, None]
HOLES = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1], [0, 0, 1, 1, 1, 0], [1] * 6], bool)
DIRECTIONS = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])

every_cell = pytest.mark.parametrize("cell", CELLS)


@functools.cache
def make(cell, reverse=False):
    return randomize(started(Recurrent(cell, UNITS, reverse)))


def started(layer):
    layer(np.zeros((1, 2, FEATURES), "float32"))
    return layer


def random_inputs():
    return np.random.default_rng(2).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def random_states(layer):
    rng = np.random.default_rng(3)
    return [rng.normal(size=(BATCH, UNITS)).astype("float32") for _ in range(layer.cell.STATES)]


@pytest.mark.parametrize(
    ("mask", "given_state"),
    [(None, True), (MASK, False), (HOLES, True)],
    ids=["whole-from_given_state", "padded-from_zeros", "holes-from_given_state"],
)
@DIRECTIONS
@every_cell
def test_run_equals_the_equations_as_if_masked_inputs_had_never_been(
    cell, reverse, mask, given_state
):
    layer, inputs = make(cell, reverse), random_inputs()
    initial = random_states(layer) if given_state else None
    outputs, states = layer(inputs, mask, initial)
    outputs = ops.convert_to_numpy(outputs)
    for row in range(BATCH):
        real = np.ones(TIME, bool) if mask is None else mask[row]
        start = initial and [state[row] for state in initial]
        expected, last = recurrence(layer, inputs[row][real], start)
        np.testing.assert_allclose(outputs[row][real], expected, atol=1e-5)
        assert len(states) == len(last)
        for state, value in zip(states, last, strict=True):
            np.testing.assert_allclose(state[row], value, atol=1e-5)


@every_cell
def test_steps_one_after_the_other_equal_the_full_run(cell):
    layer, inputs = make(cell), random_inputs()
    states = random_states(layer)
    outputs, last = layer(inputs, initial_state=states)
    for t in range(TIME):
        output, states = layer.step(inputs[:, t], states)
        np.testing.assert_allclose(output, outputs[:, t], atol=1e-5)
    for state, expected in zip(states, last, strict=True):
        np.testing.assert_allclose(state, expected, atol=1e-5)


@pytest.mark.parametrize("forget", [1.0, 2.0])
def test_the_forget_gate_alone_starts_open(forget):
    layer = started(Recurrent("lstm", UNITS, forget_bias=forget))
    i, f, o, g = np.split(ops.convert_to_numpy(layer.input_projection.bias), 4)
    np.testing.assert_array_equal(f, forget)
    np.testing.assert_array_equal([i, o, g], 0.0)
    # Which quarter is f shows in what it does: a closed one empties the memory.
    bias = np.zeros(4 * UNITS, "float32")
    bias[UNITS : 2 * UNITS] = -100.0
    memory = np.full((1, UNITS), 3.0, "float32")
    _, (_, kept) = layer.cell(bias[None], [np.zeros((1, UNITS), "float32"), memory])
    np.testing.assert_allclose(kept, 0.0, atol=1e-6)


@pytest.mark.parametrize("cell", sorted(set(CELLS) - {"rnn_relu"}))
def test_each_gate_starts_orthogonal_by_itself(cell):
    layer = started(Recurrent(cell, UNITS, recurrent_initializer="orthogonal_gates"))
    kernels = np.concatenate([ops.convert_to_numpy(each) for each in layer.cell.weights], axis=1)
    gates = np.split(kernels, layer.cell.GATES, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate.T @ gate, np.eye(UNITS), atol=1e-5)
    assert len({gate.tobytes() for gate in gates}) == layer.cell.GATES


@pytest.mark.parametrize("cell", sorted(set(CELLS) - {"lstm"}))
def test_the_biases_of_the_other_cells_start_at_zero(cell):
    layer = started(Recurrent(cell, UNITS))
    np.testing.assert_array_equal(layer.input_projection.bias, 0.0)


def test_a_relu_starts_from_the_identity_and_keeps_its_past():
    """Le et al. (2015): with an input of nothing the state stays as it is."""
    layer = started(Recurrent("rnn_relu", UNITS))
    past = np.random.default_rng(4).uniform(size=(BATCH, UNITS)).astype("float32")
    nothing = np.zeros((BATCH, TIME, FEATURES), "float32")
    _, (kept,) = layer(nothing, initial_state=[past])
    np.testing.assert_array_equal(kept, past)


@DIRECTIONS
@every_cell
def test_a_layer_made_from_its_config_computes_the_same(cell, reverse):
    layer, inputs = make(cell, reverse), random_inputs()
    other = started(twin(layer))
    other.set_weights(layer.get_weights())
    for one, two in zip(layer(inputs, MASK), other(inputs, MASK), strict=True):
        np.testing.assert_array_equal(one, two)


@every_cell
def test_a_cell_made_from_its_config_computes_the_same(cell):
    layer = make(cell)
    states = random_states(layer)
    projected = layer.input_projection(random_inputs()[:, 0])
    other = twin(layer.cell)
    other(projected, states)
    other.set_weights(layer.cell.get_weights())
    np.testing.assert_array_equal(layer.cell(projected, states)[0], other(projected, states)[0])


def test_the_initial_bias_survives_serialization():
    bias = LSTMCell.initial_bias(UNITS, 2.0)
    twin = keras.initializers.deserialize(keras.initializers.serialize(bias))
    np.testing.assert_array_equal(twin((4 * UNITS,)), bias((4 * UNITS,)))


@every_cell
def test_the_dtype_of_a_layer_is_that_of_all_its_parts(cell):
    layer = started(Recurrent(cell, UNITS, dtype="mixed_bfloat16"))
    outputs, states = layer(random_inputs())
    assert {str(keras.backend.standardize_dtype(x.dtype)) for x in (outputs, *states)} == {
        "bfloat16"
    }
    assert {weight.dtype for weight in layer.weights} == {"float32"}
