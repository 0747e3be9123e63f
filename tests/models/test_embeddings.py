"""Token embeddings and positions against NumPy."""

import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.embeddings import TokenEmbedding, sinusoids, with_positions

from . import equations
from .tiny import twin

VOCABULARY, WIDTH = 7, 6
IDS = np.array([[1, 4, 6, 0], [2, 2, 5, 3]], "int32")


def make(scaled=False, **settings):
    embedding = TokenEmbedding(VOCABULARY, WIDTH, scaled, **settings)
    embedding(IDS)
    return embedding, equations.array(embedding.embeddings)


@pytest.mark.parametrize("scaled", [False, True])
def test_ids_become_their_rows_times_the_root_of_the_width_if_scaled(scaled):
    embedding, rows = make(scaled)
    expected = rows[IDS] * (np.sqrt(WIDTH) if scaled else 1)
    np.testing.assert_allclose(embedding(IDS), expected, rtol=1e-6)
    np.testing.assert_allclose(embedding(IDS[:, 0]), expected[:, 0], rtol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_logits_are_dot_products_with_the_unscaled_rows(scaled):
    embedding, rows = make(scaled)
    vectors = np.random.default_rng(0).normal(size=(3, 5, WIDTH)).astype("float32")
    np.testing.assert_allclose(embedding.logits(vectors), vectors @ rows.T, atol=1e-5)


def test_a_scaled_embedding_starts_so_that_vectors_have_unit_variance():
    embedding = TokenEmbedding(400, 50, scaled=True)
    vectors = ops.convert_to_numpy(embedding(np.arange(400)))
    assert vectors.std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("scaled", [False, True])
def test_an_embedding_made_from_its_config_computes_the_same(scaled):
    embedding, _ = make(scaled)
    other = twin(embedding)
    other(IDS)
    other.set_weights(embedding.get_weights())
    np.testing.assert_array_equal(other(IDS), embedding(IDS))


def test_half_precision_gives_half_precision_logits():
    embedding, rows = make(scaled=True, dtype="mixed_bfloat16")
    logits = embedding.logits(embedding(IDS))
    assert "bfloat16" in str(logits.dtype)
    expected = np.sqrt(WIDTH) * rows[IDS] @ rows.T
    np.testing.assert_allclose(ops.cast(logits, "float32"), expected, atol=0.05)


@pytest.mark.parametrize("width", [2, 6, 50])
def test_sinusoids_are_those_of_the_formula(width):
    table = equations.sinusoids(120, width)
    np.testing.assert_allclose(sinusoids(np.arange(120), width), table, atol=1e-4)
    some = np.array([[3, 0], [70, 119]])
    np.testing.assert_allclose(sinusoids(some, width), table[some], atol=1e-4)


def test_a_place_adds_its_sinusoid_and_rows_may_start_anywhere():
    embedding, rows = make(scaled=True)
    table = equations.sinusoids(40, WIDTH)
    vectors = np.sqrt(WIDTH) * rows[IDS]
    here = with_positions(embedding, IDS, "float32")
    np.testing.assert_allclose(here, vectors + table[:4], atol=1e-5)
    first = np.array([0, 31])
    there = with_positions(embedding, IDS, "float32", first_B=first)
    expected = vectors + np.stack([table[:4], table[31:35]])
    np.testing.assert_allclose(there, expected, atol=1e-5)
