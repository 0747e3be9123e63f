"""A pushed model in this process: which one, how it answers, what it says when it cannot."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.local_model import Hypothesis, LocalModel, ModelError, newest_model

LOWEST = float(np.finfo("float32").min)


def push(root, version, name="seq2seq"):
    """A pushed version, as far as its place tells."""
    folder = root / "serving" / name / version
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    return folder


def test_the_newest_is_the_highest_number(tmp_path):
    for version in ("9", "20", "3"):
        push(tmp_path, version)
    assert newest_model(tmp_path) == tmp_path / "serving" / "seq2seq" / "20"


def test_the_newest_of_several_outputs_is_found_below_their_folder(tmp_path):
    push(tmp_path / "old", "1700000001")
    new = push(tmp_path / "new", "1700000002")
    assert newest_model(tmp_path) == new


def test_half_pushed_versions_and_other_names_are_no_models(tmp_path):
    good = push(tmp_path, "7")
    (tmp_path / "serving" / "seq2seq" / "8" / "variables").mkdir(parents=True)
    push(tmp_path, "9-temporary")
    push(tmp_path, "-10")
    push(tmp_path, "²")
    assert newest_model(tmp_path) == good


def test_that_no_model_was_pushed_is_told_with_the_folder_searched(tmp_path):
    (tmp_path / "serving" / "seq2seq" / "8").mkdir(parents=True)
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ModelError, match=f"expected a pushed model below {root}, found none"):
            newest_model(root)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=f"expected a SavedModel at {tmp_path}"):
        LocalModel(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["garbage", "cut short", "empty", "no weights"])
def test_a_damaged_model_is_refused_by_its_name(exported, tmp_path, damage):
    folder = tmp_path / "1"
    shutil.copytree(exported.directory, folder)
    file = folder / "saved_model.pb"
    content = file.read_bytes()
    if damage == "garbage":
        file.write_bytes(b"\xff" * 100)
    elif damage == "cut short":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        shutil.rmtree(folder / "variables")
    with pytest.raises(ModelError, match=str(folder)):
        LocalModel(folder)


class Fake(tf.Module):
    """Answers every source with two hypotheses of three places."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def nbest(self, text):
        score = tf.repeat([[-1.0, -2.0, LOWEST]], tf.shape(text)[0], axis=0)
        texts = tf.stack([text, text + "!", tf.zeros_like(text)], axis=1)
        return {features.TEXT: texts, features.SCORE: score, features.LOG_PROB: score * 0.5}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def best(self, text):
        return {name: values[:, 0] for name, values in self.nbest(text).items()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def explain(self, text):
        """A source token for each word; the first hypothesis repeats them, the second is one."""
        words = tf.strings.split(text)
        end = tf.fill([words.nrows(), 1], "</s>")
        source = tf.concat([words, end], axis=1)
        length = tf.cast(source.row_lengths(), tf.int32)
        source = source.to_tensor()
        short = tf.concat([end, tf.zeros_like(source[:, 1:])], axis=1)
        target = tf.stack([source, short, tf.zeros_like(source)], axis=1)
        mask = tf.cast(source != "", tf.float32)
        look = tf.linalg.diag(mask)  # each word at itself
        first = tf.one_hot(tf.zeros_like(length), tf.shape(source)[1])[:, tf.newaxis]
        second = tf.pad(first, [[0, 0], [0, tf.shape(source)[1] - 1], [0, 0]])
        return {
            **self.nbest(text),
            features.SOURCE_TOKENS: source,
            features.SOURCE_LENGTH: length,
            features.TARGET_TOKENS: target,
            features.TARGET_LENGTH: tf.stack(
                [length, tf.ones_like(length), tf.zeros_like(length)], axis=1
            ),
            features.ATTENTION: tf.stack([look, second, tf.zeros_like(look)], axis=1),
        }


def save(folder, module=None, **signatures):
    module = module or Fake()
    tf.saved_model.save(module, str(folder), {k: getattr(module, v) for k, v in signatures.items()})
    return folder


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fake")
    return LocalModel(save(folder, serving_default="best", nbest="nbest", explain="explain"))


def test_a_model_of_another_kind_is_refused_by_its_signatures(tmp_path):
    folder = save(tmp_path / "other", serving_default="best")
    with pytest.raises(ModelError, match=r"signature 'nbest' .*\['serving_default'\]"):
        LocalModel(folder)


def test_a_model_whose_weights_are_cut_short_is_refused_by_its_name(tmp_path):
    class Weighted(Fake):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.ones([1000]))

    folder = save(tmp_path / "1", Weighted(), serving_default="best", nbest="nbest")
    (data,) = (folder / "variables").glob("*.data-*")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ModelError, match=f"{folder} cannot be loaded"):
        LocalModel(folder)


def test_places_that_search_left_empty_are_dropped(fake):
    assert fake.predict(["ä", "b"], 3) == [
        [Hypothesis("ä", -1.0, -0.5), Hypothesis("ä!", -2.0, -1.0)],
        [Hypothesis("b", -1.0, -0.5), Hypothesis("b!", -2.0, -1.0)],
    ]
    assert fake.predict(["a"], 2) == fake.predict(["a"], 3)
    assert fake.predict(["a"]) == [[Hypothesis("a", -1.0, -0.5)]]


def test_no_sources_have_no_answers(fake):
    assert fake.predict([]) == []
    assert fake.predict([], 3) == []


def test_more_hypotheses_than_exported_are_refused_by_their_number(fake):
    assert fake.most == 3
    with pytest.raises(ModelError, match=r"at most 3 hypotheses.*received 4"):
        fake.predict(["a"], 4)


def test_an_explanation_has_nothing_of_the_padding(fake):
    long, short = fake.explain(["ä b", "c"], 3)
    assert long.source_tokens == ["ä", "b", "</s>"]
    assert short.source_tokens == ["c", "</s>"]
    for explanation, text in ((long, "ä b"), (short, "c")):
        first, second = explanation.hypotheses  # the third place is empty
        assert first[:4] == (text, -1.0, -0.5, explanation.source_tokens)
        assert second[:4] == (f"{text}!", -2.0, -1.0, ["</s>"])
        read = len(explanation.source_tokens)
        np.testing.assert_array_equal(first.attention, np.eye(read))
        np.testing.assert_array_equal(second.attention, np.eye(read)[:1])


def test_an_explanation_is_of_the_best_hypothesis_unless_more_are_asked_for(fake):
    (explanation,) = fake.explain(["a"])
    assert [hypothesis.text for hypothesis in explanation.hypotheses] == ["a"]
    assert fake.explain([]) == []
    with pytest.raises(ModelError, match=r"at most 3 hypotheses.*received 4"):
        fake.explain(["a"], 4)


def test_a_model_that_was_exported_without_explanations_says_so(tmp_path):
    model = LocalModel(save(tmp_path / "old", serving_default="best", nbest="nbest"))
    with pytest.raises(ModelError, match=r"'explain' .*\['nbest', 'serving_default'\].*train it"):
        model.explain(["a"])


@pytest.mark.slow
@pytest.mark.modern
def test_a_real_model_answers_as_its_signature_does(exported):
    sources = ["the fox", "", "Über große 语言"]
    nbest = exported.served.signatures[features.NBEST_SIGNATURE](tf.constant(sources))
    model = LocalModel(exported.directory)
    assert model.most == exported.search.beam_size
    for row, found in enumerate(model.predict(sources, 2)):
        kept = 2 if sources[row] else 1  # an empty source has one answer
        assert [h.text.encode() for h in found] == nbest[features.TEXT][row, :kept].numpy().tolist()
        for field in (features.SCORE, features.LOG_PROB):
            expected = nbest[field][row, :kept].numpy()
            np.testing.assert_allclose([getattr(h, field) for h in found], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.modern
def test_a_real_model_explains_the_answers_that_it_gives(exported):
    sources = ["the fox", "", "Über große 语言"]
    model = LocalModel(exported.directory)
    predicted = model.predict(sources, 2)
    for source, hypotheses, explanation in zip(
        sources, predicted, model.explain(sources, 2), strict=True
    ):
        # A character is a token: what is left of a source are they and EOS.
        assert explanation.source_tokens[-1] == "</s>"
        assert len(explanation.source_tokens) == min(len(source), exported.max_source_tokens) + 1
        assert [h.text for h in explanation.hypotheses] == [h.text for h in hypotheses]
        for hypothesis, told in zip(hypotheses, explanation.hypotheses, strict=True):
            np.testing.assert_allclose(told[1:3], hypothesis[1:], atol=1e-5)
            expected = (len(told.target_tokens), len(explanation.source_tokens))
            assert told.attention.shape == expected
            if source:
                np.testing.assert_allclose(told.attention.sum(axis=1), 1, atol=1e-5)
                assert told.target_tokens[-1] == "</s>"
                written = "".join(told.target_tokens[:-1])
                assert written.replace("<unk>", " ⁇ ") == told.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"beam": 2}, r"expected options of \['beam_size', .*received \['beam'\]"),
        ({"beam_size": 1.5}, "beam_size: expected a number of int32, received 1.5"),
        ({"beam_size": 2**40}, "beam_size: expected a number of int32, received"),
        ({"temperature": "hot"}, "temperature: expected a number of float32, received 'hot'"),
        ({"beam_size": 99}, "beam_size"),
    ],
)
def test_options_that_are_none_are_refused(exported, options, told):
    with pytest.raises(ModelError, match=told):
        LocalModel(exported.directory).decode("the fox", options)
