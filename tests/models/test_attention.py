"""Attention against its equations, written out in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.attention import ATTENTIONS

BATCH, TARGET, SOURCE, UNITS, MEMORY = 3, 4, 5, 6, 7
MASK = np.arange(SOURCE) < np.array([5, 2, 1])[:, None]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def make(name, scale=1.0, dtype="float32"):
    """An attention with random weights, a query and a source."""
    rng = np.random.default_rng(5)
    query = (scale * rng.normal(size=(BATCH, TARGET, UNITS))).astype(dtype)
    memory = (scale * rng.normal(size=(BATCH, SOURCE, MEMORY))).astype(dtype)
    attention = ATTENTIONS[name](UNITS)
    attention(query, attention.project_memory(memory), memory, MASK)
    attention.set_weights([rng.normal(size=w.shape) for w in attention.get_weights()])
    return attention, query, memory


def energies(attention, name, query, memory):
    """Bahdanau et al.: v^T tanh(W s + b + U h). Luong et al.: s^T W h."""

    def weight(ending):
        (found,) = (w for w in attention.weights if f"/{w.path}".endswith(f"/{ending}"))
        return ops.convert_to_numpy(found)

    result = np.zeros((BATCH, TARGET, SOURCE))
    for b, t, s in np.ndindex(result.shape):
        if name == "additive":
            inner = query[b, t] @ weight("W/kernel") + weight("W/bias")
            inner = inner + memory[b, s] @ weight("U/kernel")
            result[b, t, s] = weight("v") @ np.tanh(inner)
        else:
            result[b, t, s] = query[b, t] @ (memory[b, s] @ weight("W/kernel"))
    return result


@pytest.mark.parametrize("name", ATTENTIONS)
def test_weights_and_context_are_those_of_the_equations(name):
    attention, query, memory = make(name)
    context, weights = attention(query, attention.project_memory(memory), memory, MASK)
    scores = np.where(MASK[:, None, :], energies(attention, name, query, memory), -np.inf)
    expected = softmax(scores)
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(context, np.einsum("bts,bsm->btm", expected, memory), atol=1e-5)


@pytest.fixture(params=["float32", "float16"])
def dtype(request):
    """The precision of everything built meanwhile."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_masked_positions_weigh_exactly_nothing_and_the_others_one(name, dtype):
    attention, query, memory = make(name, scale=3.0, dtype=dtype)
    context, weights = attention(query, attention.project_memory(memory), memory, MASK)
    weights, context = ops.convert_to_numpy(weights), ops.convert_to_numpy(context)
    assert weights.dtype == dtype
    masked = np.broadcast_to(~MASK[:, None, :], weights.shape)
    assert masked.any()
    np.testing.assert_array_equal(weights[masked], 0.0)
    np.testing.assert_allclose(
        weights.astype("float32").sum(axis=-1), 1.0, atol=1e-6 if dtype == "float32" else 5e-3
    )
    assert np.isfinite(context).all()


@pytest.mark.parametrize("name", ATTENTIONS)
def test_what_stands_at_masked_positions_does_not_reach_the_context(name):
    attention, query, memory = make(name)
    other = np.where(MASK[..., None], memory, 50.0).astype("float32")
    context, _ = attention(query, attention.project_memory(memory), memory, MASK)
    changed, _ = attention(query, attention.project_memory(other), other, MASK)
    np.testing.assert_array_equal(changed, context)


def test_dot_product_names_the_width_it_expects_of_a_query():
    attention, query, memory = make("dot_product")
    keys = attention.project_memory(memory)
    with pytest.raises(ValueError, match=rf"units={UNITS} .*\({BATCH}, {TARGET}, {UNITS - 1}\)"):
        attention(query[..., :-1], keys, memory, MASK)
