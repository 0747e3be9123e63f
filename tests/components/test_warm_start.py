"""Going on from an exported model, with its vocabulary or another."""

import re

import keras
import numpy as np
import pytest

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.components.warm_start import warm_start
from seq2seq_tfx.models import features
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq
from seq2seq_tfx.serving.export_record import FOLDER, RECORD
from seq2seq_tfx.serving.predictor import Predictor
from seq2seq_tfx.serving.restored_predictor import restored_network
from seq2seq_tfx.serving.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

SIZE = {"embedding": 6, "units": 8, "heads": 2, "feed_forward": 8}
SOURCE_IDS = np.array([[4, 6, 5, 2], [5, 2, 0, 0]])
TARGET_IDS = np.array([[1, 5, 4], [1, 6, 0]])


def words(*text):
    return Tokenizer(train_tokenizer(iter(text), SideConfig(kind="word"), False))


def build(settings, source, target, seed):
    config = ModelConfig(**{"size": SIZE, **settings})
    model = build_seq2seq(config, source.vocabulary_size, target.vocabulary_size)
    # Not by Keras's seed: TensorFlow forgets its kernels, tokenizers too, when seeded.
    generator = np.random.default_rng(seed)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def logits(model, source_ids=SOURCE_IDS, target_ids=TARGET_IDS):
    inputs = {features.SOURCE_IDS: source_ids, features.TARGET_IDS: target_ids}
    return keras.ops.convert_to_numpy(model(inputs, training=False))


@pytest.fixture(scope="module", params=["default", "shared"])
def old(request, tmp_path_factory):
    """An exported model: its settings, its tokenizers, itself, and where it lies."""
    settings, source, target = {}, words("a b c"), words("x y z")
    if request.param == "shared":
        settings = {"tied_embeddings": "all", "copy_head": True}
        source = target = words("a b c x y z")
    model = build(settings, source, target, seed=1)
    directory = str(tmp_path_factory.mktemp("old") / "1")
    config = SearchConfig(beam_size=1, max_length=4)
    Predictor(model, source, target, config, 8).export(directory)
    return settings, source, target, model, directory


def test_the_same_vocabulary_gives_the_same_model(old):
    settings, source, target, model, directory = old
    other = build(settings, source, target, seed=2)
    assert np.abs(logits(other) - logits(model)).max() > 1e-4
    kept = warm_start(other, directory, source.model, target.model)
    np.testing.assert_array_equal(logits(other), logits(model))
    assert kept.weights == len(model.weights)
    assert (kept.source_tokens, kept.target_tokens) == (
        source.vocabulary_size,
        target.vocabulary_size,
    )


@pytest.mark.parametrize("kind", [{"input_feeding": True}, {"preset": "transformer2017"}])
def test_of_layers_whose_weights_share_a_path_each_keeps_its_own(tmp_path, kind):
    settings = {**kind, "size": {**SIZE, "encoder_layers": 2, "decoder_layers": 2}}
    source, target, directory = words("a b c"), words("x y z"), str(tmp_path / "1")
    model = build(settings, source, target, seed=1)
    Predictor(model, source, target, SearchConfig(beam_size=1, max_length=4), 8).export(directory)
    # As earlier versions wrote it: with one path for all of them.
    record = tmp_path / "1" / FOLDER / RECORD
    record.write_text(re.sub(r' \d+"', '"', record.read_text()))
    other = build(settings, source, target, seed=2)
    assert warm_start(other, directory, source.model, target.model).weights == len(model.weights)
    for restored in (other, restored_network(directory)[0]):
        np.testing.assert_array_equal(logits(restored), logits(model))


def test_kept_tokens_mean_the_same_under_their_new_ids(old):
    settings, source, target, model, directory = old
    if source is target:
        new_source = new_target = words("n n n z z b b b b q a c x y")
    else:
        new_source, new_target = words("n n n b b c q a"), words("m m z x x x y")
    other = build(settings, new_source, new_target, seed=2)
    warm_start(other, directory, new_source.model, new_target.model)

    def both(text, old_tokenizer, new_tokenizer):
        return (t.tokenize([text]).to_list()[0] for t in (old_tokenizer, new_tokenizer))

    old_ids, new_ids = both("a c b", source, new_source)
    old_out, new_out = both("z y x", target, new_target)
    assert old_ids != new_ids and features.UNK not in new_ids
    before = logits(model, np.array([[*old_ids, 2]]), np.array([[1, *old_out]]))
    after = logits(other, np.array([[*new_ids, 2]]), np.array([[1, *new_out]]))
    if settings:  # the copy head's logits are normalized over its own vocabulary
        before, after = (x - x[..., [2]] for x in (before, after))
    else:
        np.testing.assert_allclose(after[..., new_out], before[..., old_out], atol=1e-5)
    # Special ids stay what they were.
    np.testing.assert_allclose(after[..., features.EOS], before[..., features.EOS], atol=1e-5)


def test_a_new_token_keeps_its_random_start(old):
    settings, *_, directory = old
    more = words("a b c x y z new")
    other = build(settings, more, more, seed=2)
    before = [np.array(weight) for weight in other.weights]
    warm_start(other, directory, more.model, more.model)
    new = more.tokenize(["new"]).to_list()[0][0]
    paths = [weight.path for weight in other.weights]
    place = next(i for i, path in enumerate(paths) if path.endswith("embedding/embeddings"))
    after = np.array(other.weights[place])
    np.testing.assert_array_equal(after[new], before[place][new])
    assert np.abs(after - before[place]).max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": {**SIZE, "units": 10}}, "was .* and is"),
        ({"attention": "additive"}, "it lacks"),
        ({"cell": "gru"}, "gate_kernel"),
        ({"reverse_source": True}, "reverse_source was False and is True"),
    ],
)
def test_another_architecture_is_refused_by_what_differs(old, settings, message):
    given, source, target, _, directory = old
    other = build({**given, **settings}, source, target, seed=2)
    with pytest.raises(PipelineError, match=message):
        warm_start(other, directory, source.model, target.model)


def test_what_a_network_does_not_use_may_differ(old):
    given, source, target, model, directory = old
    other = build({**given, "norm": "pre", "residual_from": 3, "dropout": 0.5}, source, target, 2)
    warm_start(other, directory, source.model, target.model)
    np.testing.assert_allclose(logits(other), logits(model), atol=1e-6)


def test_what_is_no_export_is_refused(tmp_path):
    tokenizer = words("a b")
    model = build({}, tokenizer, tokenizer, seed=1)
    with pytest.raises(PipelineError, match=r"training\.warm_start: expected an export"):
        warm_start(model, str(tmp_path), tokenizer.model, tokenizer.model)
