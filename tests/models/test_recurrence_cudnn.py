"""cuDNN's LSTM: itself where there is a GPU, and everywhere what stands around it."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models import recurrence_cudnn as cudnn
from seq2seq_tfx.models.cells import LSTMCell, Recurrent
from seq2seq_tfx.models.devices import on_gpu
from seq2seq_tfx.models.projection import Projection
from seq2seq_tfx.models.recurrence import plain_recurrence

from .tiny import ON_TENSORFLOW, randomize

pytestmark = pytest.mark.skipif(
    keras.backend.backend() not in cudnn.BACKENDS, reason="no cuDNN of ours"
)

PADDED = np.arange(6) < np.array([6, 1, 4, 2])[:, None]
HOLES = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1], [0] * 6, [1] * 6], bool)
MASKS = {"whole": None, "padded": PADDED, "reversed": PADDED[:, ::-1], "holes": HOLES}
LARGE = np.zeros((256, 50, 1), "float32")
REAL = pytest.param(
    "cudnn", marks=pytest.mark.skipif(not on_gpu(), reason="cuDNN itself wants a GPU")
)


def by_the_book(inputs, weights, h, c, lengths):
    """What cuDNN documents: its gates are i, f, g, o, of W, U and two biases; zero beyond."""
    units, features = h.shape[-1], inputs.shape[-1]
    sizes = [4 * units * features, 4 * units * units, 4 * units]
    w, u, b, more = ops.split(weights, np.cumsum(sizes).tolist())
    w, u = ops.reshape(w, (4, units, features)), ops.reshape(u, (4, units, units))
    bias = ops.reshape(b + more, (4, 1, units))
    outputs = []
    for t in range(inputs.shape[1]):
        i, f, g, o = (
            ops.matmul(inputs[:, t], ops.transpose(w[k]))
            + ops.matmul(h, ops.transpose(u[k]))
            + bias[k]
            for k in range(4)
        )
        memory = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        hidden = ops.sigmoid(o) * ops.tanh(memory)
        real = (t < lengths)[:, None]
        outputs.append(ops.where(real, hidden, 0.0))
        h, c = ops.where(real, hidden, h), ops.where(real, memory, c)
    return ops.stack(outputs, axis=1), h, c


@pytest.fixture
def backend(monkeypatch):
    """The backend's file, cuDNN in it by the book."""
    module = cudnn._backend()
    monkeypatch.setattr(module, "run", by_the_book)
    monkeypatch.setattr(cudnn, "fault", cudnn.fault.__wrapped__)
    return module


@pytest.fixture
def exact():
    """Products in float32, where a GPU would take TF32."""
    if ON_TENSORFLOW:
        from tensorflow.config import experimental

        before = experimental.tensor_float_32_execution_enabled()
        experimental.enable_tensor_float_32_execution(False)
        yield
        experimental.enable_tensor_float_32_execution(before)
    else:
        import jax

        with jax.default_matmul_precision("highest"):
            yield


def layers_of(batch, steps, features, units):
    """A projection, a cell, inputs, states: all random."""
    rng = np.random.default_rng(1)
    inputs, h, c = (
        ops.convert_to_tensor(rng.normal(size=shape).astype("float32"))
        for shape in ((batch, steps, features), (batch, units), (batch, units))
    )
    projection, cell = Projection(4 * units), LSTMCell(units)
    cell(projection(inputs)[:, 0], [h, c])
    return randomize(projection), randomize(cell), inputs, [h, c]


@pytest.mark.parametrize("run", ["book", REAL])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("batch", "steps", "units"), [(4, 6, 5), (1, 1, 32)])
def test_it_equals_the_plain_recurrence(batch, steps, units, mask, run, request, exact):
    if run == "book":
        request.getfixturevalue("backend")
    projection, cell, inputs, states = layers_of(batch, steps, 3, units)
    real = None if MASKS[mask] is None else ops.convert_to_tensor(MASKS[mask][:batch, :steps])
    given = [inputs, *states, projection.kernel.value, projection.bias.value]
    given.append(cell.recurrent_kernel.value)
    found = []
    for recurrence in ("cudnn", "plain"):

        def total(inputs, h, c, kernel, bias, recurrent_kernel, recurrence=recurrence):
            weights = [*projection.trainable_variables, *cell.trainable_variables]
            values = [kernel, bias, recurrent_kernel]
            with keras.StatelessScope(list(zip(weights, values, strict=True))):
                if recurrence == "cudnn":
                    made = cudnn.lstm(projection, inputs, recurrent_kernel, [h, c], real)
                else:
                    made = plain_recurrence(cell, projection, inputs, [h, c], real)
            outputs = keras.tree.flatten(made)
            uneven = [ops.cos(ops.reshape(ops.arange(np.prod(x.shape)), x.shape)) for x in outputs]
            return sum(ops.sum(x * y) for x, y in zip(outputs, uneven, strict=True)), outputs

        found.append(cudnn._backend().with_gradients(total, given))
    for one, other in zip(*map(keras.tree.flatten, found), strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(one), ops.convert_to_numpy(other), atol=5e-5
        )


def test_what_is_computed_in_half_comes_back_in_half(backend, policy):
    policy("mixed_bfloat16")
    projection, cell, inputs, states = layers_of(4, 6, 3, 5)
    inputs, *states = (ops.cast(x, "bfloat16") for x in (inputs, *states))
    outputs, last = cudnn.lstm(projection, inputs, *cell.recurrent_weights, states, None)
    assert {keras.backend.standardize_dtype(x.dtype) for x in (outputs, *last)} == {"bfloat16"}


def told(caplog):
    return " ".join(record.getMessage() for record in caplog.records)


@pytest.fixture
def on_a_gpu(backend, monkeypatch):
    """As if there were a GPU, and cuDNN had been tried; what it is given."""
    monkeypatch.setattr("seq2seq_tfx.models.recurrence.on_gpu", lambda: True)
    monkeypatch.setattr(cudnn, "fault", str)
    monkeypatch.delenv("SEQ2SEQ_CUDNN", raising=False)
    calls = []

    def counted(*given):
        calls.append(given)
        return by_the_book(*given)

    monkeypatch.setattr(backend, "run", counted)
    return calls


def test_it_is_taken_where_no_state_is_dropped_and_the_environment_lets_it(
    backend, on_a_gpu, monkeypatch
):
    monkeypatch.setattr(backend, "allowed", bool)
    monkeypatch.setattr(backend, "gains", lambda inputs: inputs.shape[0] == 4)
    layer, inputs, kept = Recurrent("lstm", 5), ops.ones((4, 6, 3)), ops.ones((4, 5))
    for asked, settings, by_cudnn in (
        (None, {"training": True}, True),
        (None, {"training": False}, False),
        (None, {"training": True, "kept_BH": kept}, False),
        ("0", {"training": True}, False),
        ("1", {"training": True}, True),
    ):
        if asked:
            monkeypatch.setenv("SEQ2SEQ_CUDNN", asked)
        on_a_gpu.clear()
        layer(inputs, **settings)
        assert bool(on_a_gpu) == by_cudnn
    on_a_gpu.clear()
    layer(inputs[:2], training=True)  # asked to, though it gains nothing
    assert on_a_gpu
    monkeypatch.delenv("SEQ2SEQ_CUDNN")
    on_a_gpu.clear()
    layer(inputs[:2], training=True)
    Recurrent("gru", 5)(inputs, training=True)
    assert not on_a_gpu


@pytest.mark.skipif(ON_TENSORFLOW, reason="under TensorFlow it always gains")
def test_under_jax_it_is_taken_for_large_batches_in_float32(backend):
    assert backend.gains(ops.ones((256, 50, 1))) and not backend.gains(ops.ones((256, 25, 1)))
    assert not backend.gains(ops.ones((256, 50, 1), "bfloat16"))


def test_it_is_tried_while_a_step_is_traced(backend, monkeypatch, caplog):
    monkeypatch.setattr(backend, "allowed", lambda _: True)
    answers = []

    def traced(x):
        answers.append(cudnn.usable(LARGE, True))
        return x + 1

    if ON_TENSORFLOW:
        import tensorflow as tf

        tf.function(traced, autograph=False)(tf.ones(2))
    else:
        import jax

        jax.jit(jax.grad(lambda x: ops.sum(traced(x))))(ops.ones(2))
    assert answers and all(answers) and not told(caplog)


def test_one_that_computes_otherwise_is_left_alone_and_told(backend, monkeypatch, caplog):
    def misplaced(inputs, weights, h, c, lengths):
        return by_the_book(inputs, weights, h, ops.zeros_like(c), lengths)

    monkeypatch.setattr(backend, "allowed", lambda _: True)
    monkeypatch.setattr(backend, "run", misplaced)
    assert not cudnn.usable(LARGE, True)
    assert "differs in outputs by 0." in told(caplog) and "SEQ2SEQ_CUDNN=0" in told(caplog)


def test_one_that_fails_is_left_alone_and_told(backend, monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("no such library")

    monkeypatch.setattr(backend, "allowed", lambda _: True)
    monkeypatch.setattr(backend, "run", fails)
    assert not cudnn.usable(LARGE, True)
    assert "it failed with RuntimeError: no such library" in told(caplog)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="of TensorFlow's graphs")
def test_a_graph_of_training_has_cudnn_and_its_gradient_and_one_of_an_export_has_not(monkeypatch):
    import tensorflow as tf

    layer = Recurrent("lstm", 5)
    layer(tf.ones((4, 6, 3)))
    monkeypatch.setattr("seq2seq_tfx.models.recurrence.on_gpu", lambda: True)
    monkeypatch.setattr(cudnn, "fault", str)

    def ops_of(training, device):
        @tf.function
        def step(inputs, mask):
            with tf.device(device), tf.GradientTape() as tape:
                outputs, states = layer(inputs, mask, training=training)
                assert outputs.shape[-1] == 5 and states[0].shape[-1] == 5
                loss = tf.reduce_sum(outputs)
            return tape.gradient(loss, layer.trainable_variables)

        graph = step.get_concrete_function(
            tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, None], tf.bool)
        ).graph
        return {op.type for op in graph.get_operations()}

    assert {"CudnnRNNV3", "CudnnRNNBackpropV3"} <= ops_of(True, "/GPU:0")
    for kinds in (ops_of(False, "/GPU:0"), ops_of(True, "/CPU:0"), ops_of(True, None)):
        assert not any("Cudnn" in kind for kind in kinds)
