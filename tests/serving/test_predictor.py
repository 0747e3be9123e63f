"""The exported model: what it answers, and what it needs to answer."""

import base64
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.protobuf import saved_model_pb2

from seq2seq_tfx.models import features

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
NAMES = {features.TEXT, features.SCORE, features.LOG_PROB}
UNKNOWN = " ⁇ "  # what SentencePiece writes for UNK

FRESH = """
import base64, json, sys
import tensorflow as tf
import tensorflow_text
before = set(sys.modules)  # tensorflow_text imports keras by itself
model = tf.saved_model.load(sys.argv[1])
def call(name, rows):
    found = model.signatures[name](tf.constant([base64.b64decode(row) for row in rows]))
    return {key: value.numpy().tolist() for key, value in found.items()}
found = {name: call(name, rows) for name, rows in json.load(sys.stdin).items()}
def roots(names): return {name.split(".")[0] for name in names}
foreign = roots(sys.modules) & {"seq2seq_tfx", "tfx", "sentencepiece"}
foreign = sorted(foreign | roots(set(sys.modules) - before) & {"keras", "tf_keras"})
json.dump({"found": found, "foreign": foreign}, sys.stdout, default=bytes.decode)
"""


def ask(exported, texts, signature=features.SERVING_SIGNATURE):
    rows = tf.constant(texts, tf.string, shape=[len(texts)])
    return {name: v.numpy() for name, v in exported.served.signatures[signature](rows).items()}


def example(text):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    features_ = tf.train.Features(feature={features.SOURCE: feature})
    return tf.train.Example(features=features_).SerializeToString()


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name in found:
        if name == features.TEXT:
            np.testing.assert_array_equal(found[name], expected[name])
        else:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


@pytest.fixture(scope="module")
def answers(exported):
    return ask(exported, TEXTS)


@pytest.fixture(scope="module")
def hypotheses(exported):
    return ask(exported, TEXTS, features.NBEST_SIGNATURE)


@pytest.mark.slow
@pytest.mark.modern
def test_a_process_with_tensorflow_alone_gives_the_same_answers(exported, tmp_path):
    text = [text.encode() for text in TEXTS]
    requests = {
        features.SERVING_SIGNATURE: text,
        features.NBEST_SIGNATURE: text,
        features.EXAMPLES_SIGNATURE: [example(text) for text in TEXTS],
    }
    process = subprocess.run(
        [sys.executable, "-c", FRESH, str(exported.directory)],
        input=json.dumps(
            {
                key: [base64.b64encode(row).decode() for row in rows]
                for key, rows in requests.items()
            }
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    reply = json.loads(process.stdout)
    assert reply["foreign"] == []
    here = exported.predictor
    functions = {
        features.SERVING_SIGNATURE: here.best,
        features.NBEST_SIGNATURE: here.nbest,
        features.EXAMPLES_SIGNATURE: here.examples,
    }
    assert reply["found"].keys() == functions.keys()
    for signature, function in functions.items():
        expected = {k: v.numpy() for k, v in function(tf.constant(requests[signature])).items()}
        expected[features.TEXT] = np.vectorize(bytes.decode)(expected[features.TEXT])
        assert_same(reply["found"][signature], expected)


def test_the_answers_are_not_all_alike(answers):
    """Or the tests below would hold for a model that ignores its source."""
    real = [t for t, s in zip(answers[features.TEXT], TEXTS, strict=True) if s.strip()]
    assert len(set(real)) >= 3
    assert max(map(len, real)) >= 3


@pytest.mark.parametrize("signature", [features.SERVING_SIGNATURE, features.NBEST_SIGNATURE])
def test_a_row_is_answered_as_it_would_be_alone(exported, answers, hypotheses, signature):
    together = answers if signature == features.SERVING_SIGNATURE else hypotheses
    for row, text in enumerate(TEXTS):
        alone = ask(exported, [text], signature)
        assert_same(alone, {name: values[row : row + 1] for name, values in together.items()})


def test_no_rows_are_answered_with_no_rows(exported):
    for signature in exported.served.signatures:
        width = (3,) if signature == features.NBEST_SIGNATURE else ()
        found = ask(exported, [], signature)
        assert {name: v.shape for name, v in found.items()} == dict.fromkeys(NAMES, (0, *width))


@pytest.mark.parametrize("text", ["", " ", "\t\n \u3000"])
def test_an_empty_source_has_the_empty_answer(exported, text):
    found = ask(exported, [text, "the fox"])
    assert [found[n][0] for n in (features.TEXT, features.SCORE, features.LOG_PROB)] == [b"", 0, 0]
    assert found[features.LOG_PROB][1] < 0
    many = ask(exported, [text], features.NBEST_SIGNATURE)
    assert [many[n][0, 0] for n in (features.TEXT, features.SCORE, features.LOG_PROB)] == [
        b"",
        0,
        0,
    ]


def test_a_source_too_long_is_answered_as_its_beginning(exported):
    text = "thequickbrownfoxthequick"
    limit = exported.max_source_tokens
    found = ask(exported, [text, text[:limit], text[: limit - 1]], features.NBEST_SIGNATURE)
    first, second, shorter = ({name: v[row] for name, v in found.items()} for row in range(3))
    assert_same(first, second)
    # The limit is exact: the last token that is read matters.
    assert np.abs(second[features.SCORE] - shorter[features.SCORE]).max() > 1e-3


def test_the_signatures_take_and_give_what_they_promise(exported):
    signatures = exported.served.signatures
    names = {features.SERVING_SIGNATURE, features.NBEST_SIGNATURE, features.EXAMPLES_SIGNATURE}
    assert set(signatures) == names
    for name, signature in signatures.items():
        positional, inputs = signature.structured_input_signature
        assert positional == ()
        (only,) = inputs.values()
        assert list(inputs) == ["examples" if name == features.EXAMPLES_SIGNATURE else "text"]
        assert (only.dtype, only.shape.as_list()) == (tf.string, [None])
        shape = [None, 3] if name == features.NBEST_SIGNATURE else [None]
        outputs = {k: (v.dtype, v.shape.as_list()) for k, v in signature.structured_outputs.items()}
        assert outputs == {
            features.TEXT: (tf.string, shape),
            features.SCORE: (tf.float32, shape),
            features.LOG_PROB: (tf.float32, shape),
        }


def test_the_first_of_many_is_the_best(answers, hypotheses):
    assert_same(answers, {name: values[:, 0] for name, values in hypotheses.items()})


def test_many_come_best_first_and_none_twice(hypotheses):
    scores = hypotheses[features.SCORE]
    assert (np.diff(scores, axis=1) <= 0).all()
    for row, text in enumerate(TEXTS):
        if text.strip():
            assert len(set(hypotheses[features.TEXT][row])) == 3


def tokens(answer):
    """The ids of an answer: each character is one, by the construction of the tokenizer."""
    return len(answer.decode().replace(UNKNOWN, "?")) + 1


def test_the_score_is_the_log_probability_by_gnmts_length_penalty(hypotheses):
    lengths = set()
    for row, text in enumerate(TEXTS):
        if not text.strip():
            continue
        for answer, score, log_prob in zip(
            *(hypotheses[n][row] for n in features_in_order()), strict=True
        ):
            penalty = ((5 + tokens(answer)) / 6) ** 0.7
            assert log_prob == pytest.approx(score * penalty, rel=1e-5)
            lengths.add(tokens(answer))
    assert len(lengths) >= 3


def features_in_order():
    return features.TEXT, features.SCORE, features.LOG_PROB


def test_the_log_probability_is_the_networks_own(exported, hypotheses):
    """By teacher forcing: dropout, the cut and the search change nothing about it."""
    predictor, checked = exported.predictor, 0
    for row, text in enumerate(TEXTS):
        read = text[: exported.max_source_tokens]
        if not text.strip() or read != read.strip():
            continue
        source = predictor.source_tokenizer.tokenize([read]).to_list()[0] + [features.EOS]
        for answer, _, log_prob in zip(
            *(hypotheses[n][row] for n in features_in_order()), strict=True
        ):
            if UNKNOWN in answer.decode():
                continue
            target = predictor.target_tokenizer.tokenize([answer]).to_list()[0]
            inputs = {
                features.SOURCE_IDS: np.array([source]),
                features.TARGET_IDS: np.array([[features.BOS, *target]]),
            }
            log_probs = tf.nn.log_softmax(exported.model(inputs, training=False))[0].numpy()
            ids = [*target, features.EOS]
            total = log_probs[np.arange(len(ids)), ids].sum()
            assert log_prob == pytest.approx(total, abs=1e-4)
            checked += 1
    assert checked >= 3


def test_no_answer_is_longer_than_its_limit(exported, hypotheses):
    for row, text in enumerate(TEXTS):
        read = len(exported.predictor.source_tokenizer.tokenize([text]).to_list()[0]) + 1
        limit = min(8, int(0.5 * min(read, exported.max_source_tokens + 1) + 10))
        assert max(map(tokens, hypotheses[features.TEXT][row])) <= limit


def test_serialized_examples_are_answered_as_text_is(exported, answers):
    assert_same(ask(exported, [example(t) for t in TEXTS], features.EXAMPLES_SIGNATURE), answers)


def test_nothing_in_the_graph_asks_for_xla(exported):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((exported.directory / "saved_model.pb").read_bytes())
    for graph in saved.meta_graphs:
        functions = graph.graph_def.library.function
        nodes = [*graph.graph_def.node, *(node for f in functions for node in f.node_def)]
        assert len(functions) > 3 and len(nodes) > 100
        asking = [x for x in (*nodes, *functions) if x.attr["_XlaMustCompile"].b]
        assert not asking
        assert not [node.op for node in nodes if node.op.startswith("Xla")]


def test_the_export_holds_the_weights_and_nothing_of_the_optimizer(exported):
    saved = tf.train.list_variables(str(exported.directory / "variables" / "variables"))
    sizes = sum(int(np.prod(shape)) for name, shape in saved if name.endswith("VARIABLE_VALUE"))
    assert sizes == exported.model.count_params()


TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text("thequickbrown fox语言ß\u0308\u00a0▁", max_size=30),
)


@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(TEXT, max_size=6))
def test_any_text_is_answered(exported, texts):
    found = ask(exported, texts)
    assert {name: v.shape for name, v in found.items()} == dict.fromkeys(NAMES, (len(texts),))
    for text, score, log_prob in zip(*(found[name] for name in features_in_order()), strict=True):
        text.decode()  # raises where it is not UTF-8
        assert np.isfinite([score, log_prob]).all()
        assert np.finfo("float32").min < log_prob <= 0


def test_bytes_that_are_no_text_are_answered_and_harm_no_neighbour(exported, answers):
    found = ask(exported, [TEXTS[0].encode(), b"\xff\xfe", b"the \xe4 fox", b"\x00"])
    for text, score, _ in zip(*(found[name] for name in features_in_order()), strict=True):
        text.decode()
        assert np.isfinite(score)
    assert found[features.TEXT][0] == answers[features.TEXT][0]
