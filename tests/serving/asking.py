"""How the tests of this folder ask a predictor, and the network without one."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.models.search_options import IMPOSSIBLE, SearchConfig
from seq2seq_tfx.serving.decode_options import INPUTS
from seq2seq_tfx.serving.predictor import Predictor

NAMES = (features.TEXT, features.SCORE, features.LOG_PROB)
TEXTS = [
    "the fox",
    "",
    "Über große 语言",
    "quick",
    " \t ",
    "😀 unknown",
    "brown the quick fox the",
    "x",
]
REAL = [text for text in TEXTS if text.strip()]
UNKNOWN = " ⁇ "  # what SentencePiece writes for UNK


def ask(exported, texts, signature=features.SERVING_SIGNATURE):
    """What the loaded export answers."""
    return _arrays(exported.served.signatures[signature](_strings(texts)))


def decode(exported, texts, signature=features.DECODE_SIGNATURE, **options):
    """The same of `decode`: an option is one value, or a list with one for each row."""
    return _arrays(exported.served.signatures[signature](**request(texts, **options)))


def request(texts, **options):
    unknown = set(options) - {spec.name for spec in INPUTS}
    assert not unknown, unknown
    inputs = {features.TEXT: _strings(texts)}
    for spec in INPUTS[1:]:
        value = options.get(spec.name, "" if spec.dtype == tf.string else -1)
        values = value if isinstance(value, list) else [value] * len(texts)
        inputs[spec.name] = tf.constant(values, spec.dtype, shape=[len(values)])
    return inputs


def eagerly(predictor, method, texts, **options):
    """The same of a predictor, operation by operation, without a graph of its own."""
    inputs = list(request(texts, **options).values())
    function = getattr(predictor, method).python_function
    return _arrays(function(*inputs) if "decode" in method else function(_strings(texts)))


def variant(predictor, **search):
    """A predictor of the same weights that searches otherwise."""
    config = {**predictor._search_config.model_dump(), **search}
    return Predictor(
        predictor._network.model,
        predictor.source_tokenizer,
        predictor.target_tokenizer,
        SearchConfig(**config),
        predictor._max_source_tokens,
    )


def rows_of(answers, *rows):
    return {name: values[list(rows)] for name, values in answers.items()}


def assert_same(found, expected, atol=1e-5):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if np.asarray(values).dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def hypotheses(answers):
    """Of each row what search found: (text, score, log_prob), without empty places."""
    return [
        [
            (text.decode(), score, log_prob)
            for text, score, log_prob in zip(*row, strict=True)
            if score > IMPOSSIBLE
        ]
        for row in zip(*(answers[name] for name in NAMES), strict=True)
    ]


def ids_of(exported, answer):
    """The ids of an answer: each character is one, by the construction of the tokenizer."""
    ids = _vocabulary(exported.predictor.target_tokenizer)
    characters = answer.replace(UNKNOWN, "\0")
    return [ids.get(character, features.UNK) for character in characters] + [features.EOS]


@functools.cache
def _vocabulary(tokenizer):
    pieces = tokenizer.pieces(tf.range(tokenizer.vocabulary_size)).numpy()
    return {piece.decode(): i for i, piece in enumerate(pieces)}


def forced(exported, pairs):
    """The network's own figures, by one pass of teacher forcing over all pairs.

    Args:
      exported: see `conftest`.
      pairs: of a source text and the ids of a target.

    Returns:
      Of each pair log-probabilities [T, V] and attention [T, S].
    """
    limit, predictor = exported.max_source_tokens, exported.predictor
    texts, targets = zip(*pairs, strict=True)
    tokens = predictor.source_tokenizer.tokenize(_strings(texts)).to_list()
    sources = [[*ids[:limit], features.EOS] for ids in tokens]
    encoded = exported.model.encoder(_padded(sources), training=False)
    inputs = _padded([[features.BOS, *ids[:-1]] for ids in targets])
    outputs = exported.model.decoder(inputs, encoded, training=False)
    logits, attention = (np.asarray(x, "float64") for x in outputs)
    return [
        (_log_softmax(logits[row, : len(target)]), attention[row, : len(target), : len(s)])
        for row, (s, target) in enumerate(zip(sources, targets, strict=True))
    ]


def attended(model, source_ids, target_ids):
    """The attention [T, S] that a decoder pays when it goes step by step along a target."""
    encoded = model.encoder(np.array([source_ids]), training=False)
    state, source = model.decoder.begin(encoded, len(target_ids))
    rows = []
    for last in [features.BOS, *target_ids[:-1]]:
        _, state, weights = model.decoder.step(np.array([last]), state, source)
        rows.append(np.asarray(weights)[0])
    return np.array(rows)


def source_ids_of(predictor, text):
    """What the encoder reads of a text."""
    (ids,) = predictor.source_tokenizer.tokenize(_strings([text])).to_list()
    return [*ids[: predictor._max_source_tokens], features.EOS]


def log_prob_of(log_probs, ids):
    return log_probs[np.arange(len(ids)), ids].sum()


def gnmt_score(log_prob, length, attention, alpha, beta=0.0):
    """Wu et al. (2016), equation 14."""
    covered = np.clip(attention.sum(axis=0), 1e-10, 1.0)
    return log_prob / ((5 + length) / 6) ** alpha + beta * np.log(covered).sum()


def _strings(texts):
    return tf.constant(texts, tf.string, shape=[len(texts)])


def _arrays(outputs):
    return {name: values.numpy() for name, values in outputs.items()}


def _log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def _padded(rows):
    longest = max(map(len, rows))
    return np.array([[*row, *[features.PAD] * (longest - len(row))] for row in rows])


def refusal(exported, texts, **options):
    """Why a request is refused."""
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode(exported, texts, **options)
    return caught.value.message
