"""Readouts and the copy head against their equations in NumPy."""

import numpy as np
import pytest
from keras import ops

from seq2seq_tfx.models.embeddings import TokenEmbedding
from seq2seq_tfx.models.readout import CopyHead, Readout

from .equations import affine, array, mixture, softmax
from .equations import readout as equation
from .tiny import randomize, twin

BATCH, TIME, SOURCE, HIDDEN, CONTEXT, EMBEDDING, UNITS, VOCABULARY = 2, 3, 5, 6, 7, 4, 3, 11
KINDS = ("concat", "attentional", "maxout", "state")

every_kind = pytest.mark.parametrize("kind", KINDS)


def known():
    """State, context and embedded last token."""
    rng = np.random.default_rng(1)
    return [
        rng.normal(size=(BATCH, TIME, w)).astype("float32") for w in (HIDDEN, CONTEXT, EMBEDDING)
    ]


def make(kind, tied_to=None, with_context=True):
    readout = Readout(VOCABULARY, kind, UNITS, tied_to=tied_to)
    apply(readout, with_context)
    return randomize(readout)


def apply(readout, with_context=True):
    hidden, context, embedded = known()
    return readout(readout.mix(hidden, context if with_context else None, embedded))


@pytest.mark.parametrize("with_context", [True, False], ids=["context", "no_context"])
@every_kind
def test_logits_are_those_of_the_equations(kind, with_context):
    readout = make(kind, with_context=with_context)
    logits, (hidden, context, embedded) = apply(readout, with_context), known()
    for b, t in np.ndindex(BATCH, TIME):
        read = equation(
            readout, hidden[b, t], context[b, t] if with_context else None, embedded[b, t]
        )
        expected = affine(readout.output_projection, read)
        np.testing.assert_allclose(logits[b, t], expected, atol=1e-5)


@pytest.mark.parametrize("width", [EMBEDDING, HIDDEN, UNITS])
@every_kind
def test_a_tied_output_is_the_embedding_after_a_projection_where_widths_differ(kind, width):
    embedding = TokenEmbedding(VOCABULARY, width)
    embedding(np.zeros((1, 1), "int32"))
    randomize(embedding, seed=3)
    readout = make(kind, tied_to=embedding)
    logits, parts = apply(readout), known()
    mixed = equation(readout, *(x[0, 0] for x in parts))
    names = {weight.path.split("/")[-2] for weight in readout.weights}
    assert ("to_embedding" in names) == (len(mixed) != width)
    assert "output" not in names
    if len(mixed) != width:
        mixed = mixed @ array(readout.to_embedding.kernel)
    np.testing.assert_allclose(logits[0, 0], array(embedding.embeddings) @ mixed, atol=1e-5)


@every_kind
def test_a_readout_made_from_its_config_computes_the_same(kind):
    readout = make(kind)
    other = twin(readout)
    apply(other)
    other.set_weights(readout.get_weights())
    np.testing.assert_array_equal(apply(readout), apply(other))


@every_kind
def test_the_dtype_of_a_readout_is_that_of_all_its_parts(kind):
    readout = Readout(VOCABULARY, kind, UNITS, dtype="mixed_bfloat16")
    parts = [ops.cast(x, "bfloat16") for x in known()]
    logits = readout(readout.mix(*parts))
    assert "bfloat16" in str(logits.dtype)
    assert {part.compute_dtype for part in readout._flatten_layers()} == {"bfloat16"}


# The copy head. Token 4 stands twice in the first source; 9 and 10 in none.
SOURCES = np.array([[4, 6, 4, 8, 2], [7, 5, 2, 0, 0]], "int32")


@pytest.fixture(scope="module")
def copying():
    """A head, what it is given, and what it gave."""
    rng = np.random.default_rng(2)
    logits = rng.normal(scale=2.0, size=(BATCH, TIME, VOCABULARY)).astype("float32")
    logits[..., 10] = -40.0
    energies = np.where(SOURCES[:, None] == 0, -np.inf, rng.normal(size=(BATCH, TIME, SOURCE)))
    given = [logits, softmax(energies).astype("float32"), np.concatenate(known(), axis=-1)]
    head = CopyHead()
    head(*given, SOURCES)
    randomize(head)
    return head, given, ops.convert_to_numpy(head(*given, SOURCES))


def test_a_copy_head_mixes_writing_and_copying_as_see_et_al(copying):
    head, given, log_probs = copying
    for b, t in np.ndindex(BATCH, TIME):
        expected = mixture(head, *(x[b, t].astype("float64") for x in given), SOURCES[b])
        np.testing.assert_allclose(np.exp(log_probs[b, t]), expected, atol=1e-6)


def test_what_a_copy_head_gives_is_a_distribution(copying):
    _, _, log_probs = copying
    np.testing.assert_allclose(np.exp(log_probs.astype("float64")).sum(axis=-1), 1, atol=1e-5)


def test_what_is_neither_probable_nor_in_the_source_stays_improbable(copying):
    _, (logits, _, _), log_probs = copying
    assert log_probs[..., 10].max() < -35
    assert np.isfinite(log_probs).all()
    # And what is in the source becomes probable, however improbable it was to write.
    head, given, _ = copying
    given = [np.where(np.arange(VOCABULARY) == 6, -40.0, logits).astype("float32"), *given[1:]]
    assert ops.convert_to_numpy(head(*given, SOURCES))[0, :, 6].min() > -10


def test_a_copy_head_computes_in_full_precision_whatever_it_is_given(copying, policy):
    policy("mixed_bfloat16")
    head, given, log_probs = copying
    other = CopyHead()
    half = [ops.cast(x, "bfloat16") for x in given]
    other(*half, SOURCES)
    other.set_weights(head.get_weights())
    mixed = other(*half, SOURCES)
    assert "float32" in str(mixed.dtype)
    np.testing.assert_allclose(
        np.exp(ops.convert_to_numpy(mixed)).sum(axis=-1), np.ones((BATCH, TIME)), atol=1e-2
    )
    np.testing.assert_allclose(np.exp(mixed), np.exp(log_probs), atol=5e-2)
