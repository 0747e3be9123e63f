"""Attention against its equations, written out in NumPy one query at a time."""

import functools

import numpy as np
import pytest
from keras import ops
from keras.backend import standardize_dtype

from seq2seq_tfx.models.attention import ATTENTIONS, MultiHeadAttention

from .equations import attend
from .tiny import randomize, twin

BATCH, TARGET, SOURCE, UNITS, MEMORY, HEADS = 3, 4, 5, 6, 7, 2
MASK = np.arange(SOURCE) < np.array([5, 2, 1])[:, None]

every_kind = pytest.mark.parametrize("name", [*ATTENTIONS, "coverage"])


def made(name, **settings):
    """A kind by its name; 'coverage' is additive attention with that term."""
    if name == "coverage":
        return ATTENTIONS["additive"][0](UNITS - 2, coverage=True, **settings)
    kind, extra = ATTENTIONS[name]
    if name == "multi_head":
        extra = {"heads": HEADS}
    return kind(UNITS - 2 if name == "additive" else UNITS, **extra, **settings)


def problem(name, scale=1.0, dtype="float32"):
    """A query, a source of the width that the kind can compare, and what was attended to."""
    rng = np.random.default_rng(5)
    width = UNITS if name in ("dot", "scaled_dot") else MEMORY
    query = (scale * rng.normal(size=(BATCH, TARGET, UNITS))).astype(dtype)
    memory = (scale * rng.normal(size=(BATCH, SOURCE, width))).astype(dtype)
    coverage = rng.uniform(0, 2, size=(BATCH, TARGET, SOURCE)).astype(dtype)
    return query, memory, coverage if name == "coverage" else None


def apply(attention, query, memory, coverage=None, mask=MASK):
    context, weights = attention(
        query, attention.project_memory(ops.convert_to_tensor(memory), mask), coverage
    )
    return ops.convert_to_numpy(context), ops.convert_to_numpy(weights)


@functools.cache
def make(name, dtype=None):
    attention = made(name, dtype=dtype)
    apply(attention, *problem(name))
    return randomize(attention)


def equations(name, attention, query, memory, coverage, mask=MASK):
    """Context and weights, query by query over what it may look at."""
    mask = np.broadcast_to(mask if mask.ndim == 3 else mask[:, None], (BATCH, TARGET, SOURCE))
    weights, contexts = np.zeros(mask.shape), []
    for b, t in np.ndindex(BATCH, TARGET):
        real = mask[b, t]
        before = None if coverage is None else coverage[b, t][real]
        kind = "additive" if name == "coverage" else name
        context, weights[b, t, real] = attend(kind, attention, query[b, t], memory[b][real], before)
        contexts.append(context)
    return np.reshape(contexts, (BATCH, TARGET, -1)), weights


@every_kind
def test_context_and_weights_are_those_of_the_equations(name):
    attention, (query, memory, coverage) = make(name), problem(name)
    context, weights = apply(attention, query, memory, coverage)
    expected_context, expected = equations(name, attention, query, memory, coverage)
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(context, expected_context, atol=1e-5)


@every_kind
def test_each_query_may_have_a_mask_of_its_own(name):
    attention, (query, memory, coverage) = make(name), problem(name)
    mask = np.random.default_rng(6).uniform(size=(BATCH, TARGET, SOURCE)) < 0.5
    mask[..., 0] = True
    context, weights = apply(attention, query, memory, coverage, mask)
    expected_context, expected = equations(name, attention, query, memory, coverage, mask)
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(context, expected_context, atol=1e-5)
    np.testing.assert_array_equal(weights[~mask], 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@every_kind
def test_masked_positions_weigh_exactly_nothing_and_the_others_one(name, dtype, policy):
    policy(dtype)
    attention = make(name, dtype)
    context, weights = apply(attention, *problem(name, 3.0, dtype))
    assert weights.dtype == context.dtype == dtype
    masked = np.broadcast_to(~MASK[:, None, :], weights.shape)
    np.testing.assert_array_equal(weights[masked], 0.0)
    np.testing.assert_allclose(
        weights.astype("float32").sum(axis=-1), 1.0, atol=1e-6 if dtype == "float32" else 5e-3
    )
    assert np.isfinite(context).all()


@every_kind
def test_half_precision_stays_near_the_equations(name, policy):
    policy("float16")
    attention, (query, memory, coverage) = make(name, "float16"), problem(name, dtype="float16")
    _, weights = apply(attention, query, memory, coverage)
    expected = equations(name, attention, *(x.astype("float64") for x in (query, memory)), coverage)
    np.testing.assert_allclose(weights, expected[1], atol=2e-2)


@every_kind
def test_what_stands_at_masked_positions_does_not_reach_the_context(name):
    attention, (query, memory, coverage) = make(name), problem(name)
    other = np.where(MASK[..., None], memory, 50.0).astype("float32")
    np.testing.assert_array_equal(
        apply(attention, query, memory, coverage)[0], apply(attention, query, other, coverage)[0]
    )


@pytest.mark.parametrize("name", ["dot", "scaled_dot", "general"])
@pytest.mark.parametrize("wrong", [UNITS - 1, UNITS + 1])
def test_a_dot_product_names_the_widths_it_expects(name, wrong):
    query, memory, _ = problem(name)
    query = np.zeros((BATCH, TARGET, wrong), "float32")
    message = rf"units={UNITS}.*\({BATCH}, {TARGET}, {wrong}\).*\({BATCH}, {SOURCE}, {UNITS}\)"
    with pytest.raises(ValueError, match=message):
        apply(make(name), query, memory)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"divide units=6\. Received: heads=4"):
        MultiHeadAttention(6, heads=4)


def test_dropout_of_heads_takes_weights_while_training_alone():
    attention = MultiHeadAttention(UNITS, HEADS, dropout=0.5)
    query, memory, _ = problem("multi_head")
    keys = attention.project_memory(memory, MASK)
    still, weights = attention(query, keys)
    np.testing.assert_array_equal(attention(query, keys, training=False)[0], still)
    moved, same = attention(query, keys, training=True)
    assert np.abs(ops.convert_to_numpy(moved) - ops.convert_to_numpy(still)).max() > 1e-3
    np.testing.assert_array_equal(same, weights)  # what is shown is what was attended to


@every_kind
def test_an_attention_made_from_its_config_computes_the_same(name):
    attention, (query, memory, coverage) = make(name), problem(name)
    other = twin(attention)
    apply(other, query, memory, coverage)
    other.set_weights(attention.get_weights())
    for one, two in zip(
        apply(attention, query, memory, coverage),
        apply(other, query, memory, coverage),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


@every_kind
@pytest.mark.parametrize("way", ["global", "argument"])
def test_mixed_precision_reaches_every_part(name, way, policy):
    if way == "global":
        policy("mixed_bfloat16")
    attention = made(name, dtype="mixed_bfloat16" if way == "argument" else None)
    query, memory, coverage = problem(name)
    context, weights = attention(
        query, attention.project_memory(ops.cast(memory, "bfloat16"), MASK), coverage
    )
    assert {standardize_dtype(x.dtype) for x in (context, weights)} == {"bfloat16"}
    for part in attention._flatten_layers():
        assert part.compute_dtype == "bfloat16", part.name
        assert part.variable_dtype == "float32", part.name
