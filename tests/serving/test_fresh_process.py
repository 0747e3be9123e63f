"""The export in a process with TensorFlow alone: it answers as the model did that was exported."""

import base64
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import Preset
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.serving.decode_options import INPUTS
from seq2seq_tfx.serving.tokenizer import Tokenizer

from .asking import assert_same, attended, eagerly, hypotheses, request, source_ids_of

pytestmark = pytest.mark.slow

FRESH = """
import base64, json, sys
import tensorflow as tf
import tensorflow_text
before = set(sys.modules)  # tensorflow_text imports keras by itself
model = tf.saved_model.load(sys.argv[1])
def plain(value):
    if isinstance(value, list):
        return [plain(part) for part in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
def answer(name, inputs):
    types = model.signatures[name].structured_input_signature[1]
    tensors = {}
    for key, values in inputs.items():
        if types[key].dtype == tf.string:
            values = [base64.b64decode(value) for value in values]
        tensors[key] = tf.constant(values, types[key].dtype, shape=[len(values)])
    found = model.signatures[name](**tensors)
    return {key: plain(value.numpy().tolist()) for key, value in found.items()}
found = [answer(name, inputs) for name, inputs in json.load(sys.stdin)]
def roots(names): return {name.split(".")[0] for name in names}
foreign = roots(sys.modules) & {"seq2seq_tfx", "tfx", "sentencepiece"}
foreign = sorted(foreign | roots(set(sys.modules) - before) & {"keras", "tf_keras"})
json.dump({"found": found, "foreign": foreign}, sys.stdout)
"""
TEXTS = [
    "the fox",
    "",
    "Über große 语言",
    "😀 unknown 学",
    " \t ",
    "brown quick fox the quick",
    "x",
]
SEARCH = {"max_beam_size": 3, "max_length": 9, "max_length_ratio": 0.7}
POINTER = {"attention": "additive", "coverage": True, "copy_head": True, "input_feeding": True}
# Of each network also another way to search.
KINDS = {
    "default": ({}, {"beam_size": 2, "coverage_penalty": 0.2, "replace_unknown": True}),
    "sutskever2014": ({}, {"beam_size": 2, "temperature": 1.2, "top_k": 8, "seed": 5}),
    "cho2014": ({}, {"beam_size": 1}),
    "bahdanau2015": ({}, {"beam_size": 3, "length_penalty": 0.0, "replace_unknown": True}),
    "luong2015": ({}, {"beam_size": 1, "coverage_penalty": 0.5, "replace_unknown": True}),
    "gnmt2016": ({}, {"beam_size": 3, "length_penalty": 0.2, "coverage_penalty": 0.2}),
    "transformer2017": ({}, {"beam_size": 2, "min_length": 2, "replace_unknown": True}),
    "pointer": (POINTER, {"beam_size": 3, "temperature": 0.9, "top_p": 0.8}),
}
IN_BOTH_LANES = ("default", "transformer2017")
# Every mode of search, side by side in one batch.
MODES = [
    {},
    {"beam_size": 1},
    {"beam_size": 3, "length_penalty": 2.0, "hypotheses": 2},
    {"beam_size": 3, "coverage_penalty": 0.8, "length_penalty": 0.6},
    {"min_length": 4, "max_length": 6},
    {"prefix": "ab学"},
    {"prefix": "zß", "beam_size": 1},
    {"temperature": 1.0, "seed": 7, "hypotheses": 3},
    {"temperature": 3.0, "seed": 8, "top_k": 5, "hypotheses": 3},
    {"temperature": 2.0, "seed": 2**31 - 1, "top_p": 0.7, "hypotheses": 1, "prefix": "öa"},
]


def test_no_preset_is_left_out():
    assert set(Preset.__args__) <= set(KINDS)


@pytest.fixture(scope="module")
def shared_tokenizer():
    texts = ["the quick brown fox", "Über große 语言", "abcde öß学 ab"]
    side = SideConfig(kind="character")
    return Tokenizer(train_tokenizer(iter(texts), side, False))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(kind, marks=pytest.mark.modern if kind in IN_BOTH_LANES else [])
        for kind in KINDS
    ],
)
def predictor(request, new_predictor, shared_tokenizer):
    model, search = KINDS[request.param]
    size = {"embedding": 8, "units": 8, "heads": 2, "feed_forward": 12}
    size |= {"encoder_layers": 3, "decoder_layers": 3} if request.param == "gnmt2016" else {}
    size |= {"encoder_layers": 2, "decoder_layers": 2} if "20" in request.param else {}
    preset = request.param if request.param in Preset.__args__ else "default"
    return new_predictor(
        {"preset": preset, "size": size, "dropout": 0.3, **model},
        SearchConfig(**SEARCH, **search),
        (shared_tokenizer, shared_tokenizer),
    )


def rows_of_modes(predictor):
    rows = [{"text": text, **mode} for mode in MODES for text in TEXTS]
    if not predictor._network.model.has_attention:
        rows = [{**row, "coverage_penalty": -1.0} for row in rows]
    return [row["text"] for row in rows], {
        spec.name: [row.get(spec.name, "" if spec.dtype == tf.string else -1) for row in rows]
        for spec in INPUTS[1:]
    }


def example(text):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    features_ = tf.train.Features(feature={features.SOURCE: feature})
    return tf.train.Example(features=features_).SerializeToString()


def plain(inputs):
    """Tensors as JSON has them, strings in base64."""
    return {
        name: [base64.b64encode(v).decode() if isinstance(v, bytes) else v for v in x.numpy()]
        if x.dtype == tf.string
        else x.numpy().tolist()
        for name, x in inputs.items()
    }


def restored(value):
    if isinstance(value, list):
        return [restored(part) for part in value]
    return base64.b64decode(value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def fresh(predictor, tmp_path_factory):
    """What the export answers in a process of its own, by name of the request."""
    folder = tmp_path_factory.mktemp("fresh")
    predictor.export(str(folder / "1"))
    texts, options = rows_of_modes(predictor)
    text, none = {"text": tf.constant(TEXTS)}, {"text": tf.constant([], tf.string)}
    requests = {
        "best": (features.SERVING_SIGNATURE, text),
        "nbest": (features.NBEST_SIGNATURE, text),
        "explain": (features.EXPLAIN_SIGNATURE, text),
        "confidence": (features.CONFIDENCE_SIGNATURE, text),
        "examples": (
            features.EXAMPLES_SIGNATURE,
            {"examples": tf.constant([example(text) for text in TEXTS])},
        ),
        "decode": (features.DECODE_SIGNATURE, request(texts, **options)),
        "decode, asked for nothing": (features.DECODE_SIGNATURE, request(TEXTS)),
        "decode, no rows": (features.DECODE_SIGNATURE, request([])),
        "explain, no rows": (features.EXPLAIN_SIGNATURE, none),
    }
    process = subprocess.run(
        [sys.executable, "-c", FRESH, str(folder / "1")],
        input=json.dumps([(name, plain(inputs)) for name, inputs in requests.values()]),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    reply = json.loads(process.stdout)
    assert reply["foreign"] == []
    return {
        name: {key: np.array(restored(values)) for key, values in found.items()}
        for name, found in zip(requests, reply["found"], strict=True)
    }


def test_every_signature_answers_as_the_model_in_this_process(predictor, fresh):
    for method in ("best", "nbest", "explain", "confidence"):
        assert_same(fresh[method], eagerly(predictor, method, TEXTS), atol=1e-4)
    assert_same(fresh["examples"], fresh["best"])
    nbest = fresh["nbest"]
    assert_same(fresh["decode, asked for nothing"], nbest)
    assert len({text for row in hypotheses(nbest) for text, *_ in row}) >= 4
    assert {len(x) for x in fresh["decode, no rows"].values()} == {0}
    assert {len(x) for x in fresh["explain, no rows"].values()} == {0}


def test_every_mode_of_search_answers_as_the_model_in_this_process(predictor, fresh):
    texts, options = rows_of_modes(predictor)
    expected = eagerly(predictor, "decode", texts, **options)
    assert_same(fresh["decode"], expected, atol=1e-3)
    # And most modes differ from what is answered where nothing is asked for.
    scores = np.maximum(expected[features.SCORE], -1e3).reshape(len(MODES), -1)
    assert len(np.unique(scores.round(3), axis=0)) >= len(MODES) - 2


def test_the_attention_explained_is_what_the_decoder_pays_step_by_step(predictor, fresh):
    answers, model = fresh["explain"], predictor._network.model
    tokenizer = predictor.target_tokenizer
    pieces = tokenizer.pieces(tf.range(tokenizer.vocabulary_size)).numpy().tolist()
    for row, text in enumerate(TEXTS):
        source = source_ids_of(predictor, text)
        assert answers[features.SOURCE_LENGTH][row] == len(source)
        length = answers[features.TARGET_LENGTH][row, 0]
        target = [pieces.index(t) for t in answers[features.TARGET_TOKENS][row, 0, :length]]
        found = answers[features.ATTENTION][row, 0, :length, : len(source)]
        np.testing.assert_allclose(found, attended(model, source, target), atol=1e-4)
        np.testing.assert_allclose(found.sum(axis=1), float(model.has_attention), atol=1e-5)
