"""The exported model: what it answers, and what it needs to answer."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.protobuf import saved_model_pb2

from seq2seq_tfx.models import features
from seq2seq_tfx.models.search_options import IMPOSSIBLE
from seq2seq_tfx.serving.decode_options import INPUTS
from seq2seq_tfx.serving.told import CONFIDENCE

from .asking import (
    NAMES,
    REAL,
    TEXTS,
    UNKNOWN,
    ask,
    assert_same,
    decode,
    eagerly,
    forced,
    gnmt_score,
    hypotheses,
    ids_of,
    log_prob_of,
    rows_of,
    variant,
)

pytestmark = [pytest.mark.slow, pytest.mark.modern]  # an export

K = 3  # hypotheses of the export


def example(text):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    features_ = tf.train.Features(feature={features.SOURCE: feature})
    return tf.train.Example(features=features_).SerializeToString()


@pytest.fixture(scope="module")
def answers(exported):
    return ask(exported, TEXTS)


@pytest.fixture(scope="module")
def nbest(exported):
    return ask(exported, TEXTS, features.NBEST_SIGNATURE)


def test_the_answers_are_not_all_alike(nbest):
    """Or the tests below would hold for a model that ignores its source."""
    found = [text for row in hypotheses(nbest) for text, *_ in row]
    assert len(set(found)) >= 8
    assert len(set(map(len, found))) >= 3


@pytest.mark.parametrize("signature", [features.SERVING_SIGNATURE, features.NBEST_SIGNATURE])
def test_a_row_is_answered_as_it_would_be_alone(exported, answers, nbest, signature):
    together = answers if signature == features.SERVING_SIGNATURE else nbest
    for row, text in enumerate(TEXTS):
        assert_same(ask(exported, [text], signature), rows_of(together, row))


def test_the_signatures_take_and_give_what_they_promise(exported):
    text = {"text": (tf.string, [None])}
    best = {
        features.TEXT: (tf.string, [None]),
        features.SCORE: (tf.float32, [None]),
        features.LOG_PROB: (tf.float32, [None]),
    }
    many = {name: (dtype, [None, K]) for name, (dtype, _) in best.items()}
    explained = {
        **many,
        features.SOURCE_TOKENS: (tf.string, [None, None]),
        features.SOURCE_LENGTH: (tf.int32, [None]),
        features.TARGET_TOKENS: (tf.string, [None, K, None]),
        features.TARGET_LENGTH: (tf.int32, [None, K]),
        features.ATTENTION: (tf.float32, [None, K, None, None]),
    }
    options = {
        "text": (tf.string, [None]),
        **dict.fromkeys(
            ("beam_size", "hypotheses", "max_length", "min_length", "top_k", "seed"),
            (tf.int32, [None]),
        ),
        **dict.fromkeys(
            ("length_penalty", "coverage_penalty", "temperature", "top_p"),
            (tf.float32, [None]),
        ),
        "prefix": (tf.string, [None]),
    }
    expected = {
        features.SERVING_SIGNATURE: (text, best),
        features.NBEST_SIGNATURE: (text, many),
        features.EXPLAIN_SIGNATURE: (text, explained),
        features.CONFIDENCE_SIGNATURE: (
            text,
            {
                **best,
                **dict.fromkeys(CONFIDENCE, (tf.float32, [None])),
                features.SOURCE_LENGTH: (tf.int32, [None]),
                features.TARGET_LENGTH: (tf.int32, [None]),
            },
        ),
        features.TEACHER_FORCING_SIGNATURE: (
            {**text, features.REFERENCE: (tf.string, [None])},
            {
                features.LOG_PROB: (tf.float32, [None]),
                features.TARGET_LENGTH: (tf.int32, [None]),
                features.CORRECT_TOKENS: (tf.int32, [None]),
            },
        ),
        features.DECODE_SIGNATURE: (options, many),
        features.EXPLAIN_DECODE_SIGNATURE: (options, explained),
        features.EXAMPLES_SIGNATURE: ({"examples": (tf.string, [None])}, best),
    }
    assert set(exported.served.signatures) == set(expected)
    for name, (takes, gives) in expected.items():
        signature = exported.served.signatures[name]
        positional, inputs = signature.structured_input_signature
        assert positional == ()
        assert {k: (v.dtype, v.shape.as_list()) for k, v in inputs.items()} == takes
        outputs = signature.structured_outputs
        assert {k: (v.dtype, v.shape.as_list()) for k, v in outputs.items()} == gives


def test_no_rows_are_answered_with_no_rows(exported):
    best = dict.fromkeys(NAMES, (0,))
    many = dict.fromkeys(NAMES, (0, K))
    requests = (features.DECODE_SIGNATURE, features.EXPLAIN_DECODE_SIGNATURE)
    shapes = {
        name: {key: values.shape for key, values in answers.items()}
        for name in {*exported.served.signatures} - {features.TEACHER_FORCING_SIGNATURE}
        for answers in [(decode if name in requests else ask)(exported, [], name)]
    }
    nothing = tf.constant([], tf.string)
    forced = exported.served.signatures[features.TEACHER_FORCING_SIGNATURE]
    assert {v.shape[0] for v in forced(text=nothing, reference=nothing).values()} == {0}
    told = shapes.pop(features.CONFIDENCE_SIGNATURE)
    assert set(told.values()) == {(0,)} and set(told) == {*NAMES, *CONFIDENCE}
    explained = shapes.pop(features.EXPLAIN_SIGNATURE)
    assert shapes.pop(features.EXPLAIN_DECODE_SIGNATURE) == explained
    assert shapes == {
        features.SERVING_SIGNATURE: best,
        features.NBEST_SIGNATURE: many,
        features.DECODE_SIGNATURE: many,
        features.EXAMPLES_SIGNATURE: best,
    }
    assert {name: shape for name, shape in explained.items() if name in NAMES} == many
    assert {shape[0] for shape in explained.values()} == {0}


@pytest.mark.parametrize("text", ["", " ", "\t\n \u3000"])
def test_an_empty_source_has_one_answer_which_is_empty_and_certain(exported, text):
    found = ask(exported, [text, "the fox"])
    assert [found[name][0] for name in NAMES] == [b"", 0, 0]
    assert found[features.LOG_PROB][1] < 0
    many = ask(exported, [text], features.NBEST_SIGNATURE)
    assert many[features.TEXT].tolist() == [[b""] * K]
    for name in (features.SCORE, features.LOG_PROB):
        assert many[name].tolist() == [[0.0] + [IMPOSSIBLE] * (K - 1)]


def test_a_source_too_long_is_answered_as_its_beginning(exported):
    text = "thequickbrownfoxthequick"
    limit = exported.max_source_tokens
    texts = [text, text[:limit], text[: limit - 1], text * 5000]
    found = ask(exported, texts, features.NBEST_SIGNATURE)
    for row in (0, 3):
        assert_same(rows_of(found, row), rows_of(found, 1))
    # The limit is exact: the last token that is read matters.
    assert np.abs(np.diff(found[features.SCORE][1:3], axis=0)).max() > 1e-3


def test_the_first_of_many_is_the_best(answers, nbest):
    assert_same(answers, {name: values[:, 0] for name, values in nbest.items()})


def test_many_come_best_first_and_none_twice(nbest):
    assert (np.diff(nbest[features.SCORE], axis=1) <= 0).all()
    for row in np.flatnonzero([text in REAL for text in TEXTS]):
        assert len(set(nbest[features.TEXT][row])) == K


def test_score_and_log_probability_are_the_networks_own(exported, nbest):
    """By teacher forcing: dropout, the cut and the search change nothing about them."""
    found = [
        (text, *answer)
        for text, answers in zip(TEXTS, hypotheses(nbest), strict=True)
        for answer in answers
        if text in REAL
    ]
    pairs = [(text, ids_of(exported, answer)) for text, answer, *_ in found]
    assert len({len(ids) for _, ids in pairs}) >= 3 and any(UNKNOWN in a for _, a, *_ in found)
    for (_, ids), (*_, score, log_prob), (log_probs, attention) in zip(
        pairs, found, forced(exported, pairs), strict=True
    ):
        expected = log_prob_of(log_probs, ids)
        assert log_prob == pytest.approx(expected, abs=1e-4)
        assert score == pytest.approx(gnmt_score(expected, len(ids), attention, 0.7), abs=1e-4)


def test_no_answer_is_longer_than_its_source_allows(exported):
    # Nothing may end before its limit, so that every answer shows where that is.
    long = variant(exported.predictor, max_length=13, min_length=12, max_length_ratio=0.25)
    texts = ["x", "thethet", "thethethethe", "thequickbrownfox"]
    read = [2, 8, 13, 13]  # tokens, EOS and the cut included
    found = hypotheses(eagerly(long, "nbest", texts))
    lengths = [{len(ids_of(exported, answer)) for answer, *_ in row} for row in found]
    assert lengths == [{min(13, int(0.25 * tokens + 10))} for tokens in read]


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


def any_examples(count):
    """The same in every run."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text("thequickbrown fox语言ß\u0308\u00a0▁", max_size=30),
    st.sampled_from(["</s>", "<pad>", "<unk> <s>", "▁▁", "\0", "\u202e", "a" * 3000]),
)
MOST = {"beam_size": K, "hypotheses": K, "max_length": 8, "min_length": 7}
NUMBERS = {"seed": 2**31 - 1, "top_k": 2**31 - 1, "temperature": 100, "top_p": 1}
ROW = st.fixed_dictionaries(
    {
        "text": TEXT,
        "prefix": st.one_of(st.just(""), st.text("abcdeöß学z ▁<", max_size=5)),
        **{
            spec.name: st.one_of(
                st.just(-1),
                st.integers(spec.name != "min_length", (MOST | NUMBERS)[spec.name])
                if spec.dtype == tf.int32
                else st.floats(0.125, (MOST | NUMBERS).get(spec.name, 5), width=32),
            )
            for spec in INPUTS[1:-1]
        },
    }
)


@any_examples(40)
@given(st.lists(TEXT, max_size=6))
def test_any_text_is_answered(exported, texts):
    found = ask(exported, texts)
    assert {name: v.shape for name, v in found.items()} == dict.fromkeys(NAMES, (len(texts),))
    for text, score, log_prob in zip(*(found[name] for name in NAMES), strict=True):
        text.decode()  # raises where it is not UTF-8
        assert np.isfinite([score, log_prob]).all()
        assert IMPOSSIBLE < log_prob <= 0


def consistent(row):
    """Within what options allow beside each other."""
    drawn, beam, longest = row["temperature"] > 0, row["beam_size"], row["max_length"]
    beam, longest = (K if beam < 0 else beam), (8 if longest < 0 else longest)
    most = K if drawn else beam
    prefix = row["prefix"][: longest - 1]
    return {
        **row,
        "hypotheses": min(row["hypotheses"], most),
        "min_length": min(row["min_length"], longest - 1),
        "prefix": prefix,
    }


@any_examples(40)
@given(st.lists(ROW.map(consistent), max_size=5))
def test_any_request_within_the_limits_is_answered(exported, rows):
    texts = [row["text"] for row in rows]
    options = {spec.name: [row[spec.name] for row in rows] for spec in INPUTS[1:]}
    found = decode(exported, texts, **options)
    assert {name: v.shape for name, v in found.items()} == dict.fromkeys(NAMES, (len(texts), K))
    for row, answers in zip(rows, hypotheses(found), strict=True):
        asked = row["hypotheses"] if row["hypotheses"] > 0 else row["beam_size"]
        assert 1 <= len(answers) <= (asked if asked > 0 else K)
        assert [score for _, score, _ in answers] == sorted((a[1] for a in answers), reverse=True)
        for text, score, log_prob in answers:
            assert np.isfinite([score, log_prob]).all()
            assert IMPOSSIBLE < log_prob <= 0
            assert len(ids_of(exported, text)) <= 8


def test_bytes_that_are_no_text_are_answered_and_harm_no_neighbour(exported, answers):
    texts = [TEXTS[0].encode(), b"\xff\xfe", b"the \xe4 fox", b"\x00", b"\xc3(" * 500]
    found = ask(exported, texts, features.NBEST_SIGNATURE)
    for found_of_row in hypotheses(found):  # decodes
        assert found_of_row and np.isfinite([numbers for _, *numbers in found_of_row]).all()
    assert found[features.TEXT][0, 0] == answers[features.TEXT][0]
    prefixed = hypotheses(decode(exported, texts, prefix=b"\xffa"))
    assert all(text.startswith(f"{UNKNOWN}a") for row in prefixed for text, *_ in row)
