"""What the model tells of its own answers, and of given ones, against the network and NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.models.attended import Attended
from seq2seq_tfx.models.losses import TokenCrossEntropy
from seq2seq_tfx.serving.confidence import of_attention
from seq2seq_tfx.serving.local_model import LocalModel, ModelError
from seq2seq_tfx.serving.told import CONFIDENCE

from .asking import NAMES, REAL, TEXTS, ask, assert_same, forced, ids_of, rows_of, source_ids_of

pytestmark = [pytest.mark.slow, pytest.mark.modern]  # an export

OF_ATTENTION = CONFIDENCE[1:5]
REFERENCES = ["abc", "d", "", "öß学 abc", "x", "abcde" * 4, "eb", "a"]


def by_the_book(attention):
    """The four measures of attention [T, S], from their definitions."""
    written, read = attention.shape

    def entropy(p):
        return -sum(float(x) * math.log(x) for x in p if x > 0)

    covered = attention.sum(axis=0)
    words, possible = attention[:-1, :-1].sum(axis=0), min(written, read) - 1
    return {
        "coverage_deviation": sum(math.log(1 + (1 - c) ** 2) for c in covered) / read,
        "attention_entropy": sum(map(entropy, attention)) / written,
        "source_entropy": sum(entropy(a / a.sum()) for a in attention.T if a.sum()) / read,
        "ignored_source": max(0, 1 - (words >= 0.2).sum() / possible) if possible else 0,
    }


@pytest.fixture(scope="module")
def answers(exported):
    return ask(exported, TEXTS, features.CONFIDENCE_SIGNATURE)


def test_the_answers_are_those_that_serve(exported, answers):
    assert_same({name: answers[name] for name in NAMES}, ask(exported, TEXTS))


def test_a_row_is_told_as_it_would_be_alone(exported, answers):
    for row, text in enumerate(TEXTS):
        alone = ask(exported, [text], features.CONFIDENCE_SIGNATURE)
        assert_same(alone, rows_of(answers, row))


def test_measures_of_attention_are_the_papers(exported, answers):
    pairs = [(text, ids_of(exported, answers["text"][TEXTS.index(text)].decode())) for text in REAL]
    ignored = set()
    for (text, ids), (_, attention) in zip(pairs, forced(exported, pairs), strict=True):
        row = TEXTS.index(text)
        assert answers["target_length"][row] == len(ids)
        assert answers["source_length"][row] == len(source_ids_of(exported.predictor, text))
        assert answers["mean_log_prob"][row] == pytest.approx(answers["log_prob"][row] / len(ids))
        for name, expected in by_the_book(attention).items():
            assert answers[name][row] == pytest.approx(expected, abs=2e-5), (name, text)
        ignored.add(round(float(answers["ignored_source"][row]), 3))
    assert len(ignored) > 1


@pytest.mark.parametrize(
    ("attention", "ignored"),
    [
        (np.eye(5), 0.0),  # word by word
        (np.eye(3, 9), 0.0),  # a summary reads two words, and could not read more
        (np.eye(1)[[0, 0, 0, 0, 0]] @ np.eye(1, 6), 0.75),  # always the first of four or five
        (np.eye(6)[[5, 5, 5, 5, 5]], 1.0),  # EOS alone
        (np.full((11, 101), 1 / 101), 1.0),  # spread thin
        (np.ones((1, 4)) / 4, 0.0),  # an empty answer
        (np.ones((5, 1)), 0.0),  # an empty source
    ],
)
def test_what_is_ignored_in_cases_one_can_count(attention, ignored):
    logs = np.log(np.maximum(attention, 1e-30))
    sums = [x.sum(axis=0) for x in (attention, attention[:-1], -attention * logs)]
    beyond = np.full((3, 2, attention.shape[1] + 3), 0.7, np.float32)
    beyond[:, 0, : attention.shape[1]] = sums
    lengths = (tf.constant([n, 1]) for n in attention.shape)
    found = of_attention(Attended(*map(tf.constant, beyond)), *lengths)
    for name, expected in by_the_book(attention).items():
        assert found[name][0].numpy() == pytest.approx(expected, abs=1e-5), name
    assert found["ignored_source"][0].numpy() == pytest.approx(ignored)


def test_an_empty_source_is_certain(answers):
    row = TEXTS.index("")
    told = {name: float(answers[name][row]) for name in CONFIDENCE}
    expected = {**dict.fromkeys(CONFIDENCE, 0.0), "source_length": 1, "target_length": 1}
    assert told == pytest.approx(expected, abs=1e-6)


def test_without_attention_the_probability_alone_is_told(plain):
    found = plain.confidence.python_function(tf.constant(["the fox", "x"]))
    assert set(found) == {*NAMES, *CONFIDENCE} - set(OF_ATTENTION)


def test_teacher_forcing_gives_the_loss_that_training_has(exported):
    model = LocalModel(exported.directory)
    found = model.force(TEXTS, REFERENCES)
    tokenizer = exported.predictor.target_tokenizer
    targets = [
        [*ids, features.EOS] for ids in tokenizer.tokenize(tf.constant(REFERENCES)).to_list()
    ]
    assert [one.tokens for one in found] == [len(ids) for ids in targets]
    logits, labels = [], []
    for text, ids, one in zip(TEXTS, targets, found, strict=True):
        encoded = exported.model.encoder(
            np.array([source_ids_of(exported.predictor, text)]), training=False
        )
        inputs = np.array([[features.BOS, *ids[:-1]]])
        logits.append(np.asarray(exported.model.decoder(inputs, encoded, training=False)[0])[0])
        labels += ids
        # NumPy, in twice the precision.
        wide = logits[-1].astype(np.float64)
        normal = np.log(np.exp(wide).sum(axis=1))
        expected = (wide[np.arange(len(ids)), ids] - normal).sum()
        assert one.log_prob == pytest.approx(expected, rel=1e-6)
        assert one.correct == (wide.argmax(axis=1) == ids).sum()
    loss = TokenCrossEntropy()(np.array([labels]), np.concatenate(logits)[None])
    mean = -sum(one.log_prob for one in found) / sum(one.tokens for one in found)
    assert mean == pytest.approx(float(loss), rel=1e-6)
    assert 0 < sum(one.correct for one in found) < len(labels)


def test_there_is_one_reference_for_each_source(exported):
    with pytest.raises(tf.errors.InvalidArgumentError, match="one value for each of 2 texts"):
        LocalModel(exported.directory).force(["a", "b"], ["c"])


def test_nothing_asked_is_nothing_answered(exported):
    model = LocalModel(exported.directory)
    assert model.assess([]) == [] and model.force([], []) == []


def test_a_model_tells_of_its_answers_what_the_signature_does(exported, answers):
    found = LocalModel(exported.directory).assess(TEXTS)
    for row, one in enumerate(found):
        assert one.text == answers["text"][row].decode()
        assert list(one.confidence) == list(CONFIDENCE)
        for name, value in one.confidence.items():
            assert value == pytest.approx(float(answers[name][row]), abs=1e-6), name


def test_an_export_of_an_earlier_version_is_told_apart(tmp_path):
    module = tf.Module()
    module.nbest = tf.function(
        lambda text: {"text": text[:, None]},
        input_signature=[tf.TensorSpec([None], tf.string, name="text")],
    )
    tf.saved_model.save(module, str(tmp_path), {"nbest": module.nbest})
    model = LocalModel(tmp_path)
    assert not model.has(features.CONFIDENCE_SIGNATURE)
    with pytest.raises(ModelError, match=r"signature 'confidence' .* train it again"):
        model.assess(["a"])
    with pytest.raises(ModelError, match="signature 'teacher_forcing'"):
        model.force(["a"], ["b"])
