"""What is asked of the validation split in training is what the exported model would answer."""

import io

import numpy as np
import pytest
import sacrebleu
import tensorflow as tf
from PIL import Image
from tensorflow.core.util import event_pb2

from seq2seq_tfx.components.curves import Curves
from seq2seq_tfx.components.decoded_validation import DecodedValidation
from seq2seq_tfx.components.shown_samples import ShownSamples
from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.components.training_data import teacher_forcing
from seq2seq_tfx.components.validation_sample import ValidationSample
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq
from seq2seq_tfx.serving.predictor import Predictor
from seq2seq_tfx.serving.tokenizer import Tokenizer, source_ids, target_ids

pytestmark = [pytest.mark.slow, pytest.mark.modern]

PAIRS = [("a b c", "c b a"), ("b", "b"), ("c a c a b b", "b b a"), ("a a", "a c")]
SOURCES, TARGETS = zip(*PAIRS, strict=True)


@pytest.fixture(scope="module")
def trained():
    tokenizer = Tokenizer(train_tokenizer(iter(SOURCES), SideConfig(kind="word"), False))
    size = tokenizer.vocabulary_size
    model = build_seq2seq(ModelConfig(size={"embedding": 8, "units": 10}), size, size)
    generator = np.random.default_rng(4)
    for weight in model.weights:  # far from uniform, so that answers differ
        weight.assign(generator.normal(size=weight.shape))
    batch = {
        "source_ids": source_ids(tokenizer, tf.constant(SOURCES)).to_tensor(0),
        "target_ids": target_ids(tokenizer, tf.constant(TARGETS)).to_tensor(0),
    }
    return model, tokenizer, tf.data.Dataset.from_tensors(teacher_forcing(batch))


def sample(trained, examples=10):
    model, tokenizer, data = trained
    search = SearchConfig(beam_size=3, max_length=6)
    return ValidationSample(model, tokenizer, tokenizer, search, data, examples, 20)


def figure(trained, metric="chrf"):
    return DecodedValidation(sample(trained), metric)


def test_the_figure_is_that_of_the_answers_of_a_greedy_export(trained):
    model, tokenizer, _ = trained
    search = SearchConfig(beam_size=1, max_length=6)
    predictor = Predictor(model, tokenizer, tokenizer, search, 20)
    answers = [text.decode() for text in predictor.best(tf.constant(SOURCES))["text"].numpy()]
    assert len(set(answers)) > 1
    expected = sacrebleu.corpus_chrf(answers, [list(TARGETS)])
    assert figure(trained)() == pytest.approx(expected.score)


def test_of_more_examples_than_asked_for_the_shortest_and_the_longest_are_among_the_sample(trained):
    assert sample(trained, examples=2).pairs == [
        tuple(text.encode() for text in pair) for pair in (PAIRS[0], PAIRS[-1])
    ]


def test_a_better_figure_is_a_higher_one_of_some_metrics_and_a_lower_one_of_others(trained):
    assert figure(trained, "bleu").loss(2.0) < figure(trained, "bleu").loss(1.0)
    errors = figure(trained, "token_error_rate")
    assert errors.loss(1.0) < errors.loss(2.0)


def test_tensorboard_shows_the_answers_and_where_the_model_looked(trained, tmp_path):
    curves = Curves(str(tmp_path))
    ShownSamples(sample(trained), curves).show(7)
    curves.flush()
    (log,) = tmp_path.iterdir()
    shown = {}
    for record in tf.data.TFRecordDataset(str(log)):
        event = event_pb2.Event.FromString(record.numpy())
        for value in event.summary.value:
            plugin = value.metadata.plugin_data.plugin_name
            shown[value.tag] = (event.step, plugin, tf.make_ndarray(value.tensor))
    step, plugin, table = shown.pop("answers")
    assert (step, plugin) == (7, "text")
    answers = [sentence.hypothesis.encode() for sentence in sample(trained).answers()]
    rows = zip(SOURCES, TARGETS, answers, strict=True)
    assert table.tolist()[1:] == [[s.encode(), t.encode(), a] for s, t, a in rows]
    assert sorted(shown) == [f"attention/{i}" for i in (1, 2, 3, 4)]  # EOS looks, too
    for step, plugin, (width, height, png) in shown.values():
        assert (step, plugin) == (7, "images")
        assert Image.open(io.BytesIO(png)).size == (int(width), int(height))
