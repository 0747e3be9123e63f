"""The promises of the training data: every example once an epoch, nothing but it."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components import training_data
from seq2seq_tfx.components.training_data import Corpus, batches, survey

BOS, EOS, PAD = 1, 2, 0
MAX_TOKENS = 11


def make_corpus():
    generator = np.random.default_rng(5)
    corpus = []
    for i in range(203):
        source, target = generator.integers(2, 12, 2)
        if i % 20 == 3:  # too long on one side or the other
            source, target = (13, 4) if i % 40 == 3 else (4, 14)
        words = generator.integers(4, 50, source + target - 3).tolist()
        if words:
            words[-1] = 100 + i % 190  # ingestion lets a pair come twice; the rest differ
        corpus.append(([*words[: source - 1], EOS], [BOS, *words[source - 1 :], EOS]))
    corpus.append(([EOS], [BOS, EOS]))
    return corpus


CORPUS = make_corpus()
SHORT = [pair for pair in CORPUS if max(map(len, pair)) <= MAX_TOKENS]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    paths = []
    for part, pairs in enumerate((CORPUS[:90], CORPUS[90:])):
        paths.append(str(folder / f"part-{part}.gz"))
        with tf.io.TFRecordWriter(paths[-1], "GZIP") as writer:
            for source, target in pairs:
                example = tf.train.Example()
                example.features.feature["source_ids"].int64_list.value.extend(source)
                example.features.feature["target_ids"].int64_list.value.extend(target)
                writer.write(example.SerializeToString())
    return paths


@pytest.fixture(autouse=True)
def _several_windows(monkeypatch):
    monkeypatch.setattr(training_data, "WINDOW", 3)


def epoch_of(dataset):
    """Sources, targets and labels [B, T] of each batch, the labels put where they belong."""
    found = []
    for inputs, labels in dataset:
        source, target, positions = (
            inputs[name].numpy() for name in ("source_ids", "target_ids", "target_positions")
        )
        real = labels.numpy() != PAD
        placed = np.zeros_like(target)
        placed.flat[positions[real]] = labels.numpy()[real]
        found.append((source, target, placed))
    return found


def pairs_of(epoch):
    """The pairs as they were written, put together from inputs and labels."""
    found = []
    for source, target, labels in epoch:
        for source_ids, input_ids, label_ids in zip(source, target, labels, strict=True):
            whole = [*input_ids[:1], *label_ids]
            found.append(
                tuple(tuple(int(i) for i in ids if i != PAD) for ids in (source_ids, whole))
            )
    return found


def as_counter(corpus):
    return Counter((tuple(source), tuple(target)) for source, target in corpus)


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_an_epoch_has_every_short_enough_example_once(files, batch_size, seed):
    epoch = epoch_of(batches(files, batch_size, MAX_TOKENS, seed))
    assert Counter(pairs_of(epoch)) == as_counter(SHORT)
    assert max(len(source) for source, _, _ in epoch) <= batch_size


def test_labels_are_the_inputs_one_step_later(files):
    for _, inputs, labels in epoch_of(batches(files, 16, MAX_TOKENS, seed=1)):
        assert (inputs[:, 0] == BOS).all()
        for input_ids, label_ids in zip(inputs, labels, strict=True):
            length = int((label_ids != PAD).sum())
            assert label_ids[length - 1] == EOS
            assert input_ids[1:length].tolist() == label_ids[: length - 1].tolist()


def test_padding_is_on_the_right_and_no_wider_than_the_longest_row(files):
    for source, _, labels in epoch_of(batches(files, 16, MAX_TOKENS, seed=1)):
        for ids in (source, labels):
            real = ids != PAD
            lengths = real.sum(axis=1)
            assert (real == (np.arange(ids.shape[1]) < lengths[:, np.newaxis])).all()
            assert lengths.max() == ids.shape[1]


@pytest.mark.parametrize("batch_size", [1, 16, 1000])
def test_labels_are_of_real_tokens_rounded_up_to_a_number_that_often_comes(files, batch_size):
    for inputs, labels in batches(files, batch_size, MAX_TOKENS, seed=1):
        real = labels.numpy() != PAD
        tokens = int(real.sum())
        assert real[:tokens].all() and not real[tokens:].any()
        assert len(inputs["target_positions"]) == len(labels)
        assert len(labels) % 32 == 0 and len(labels) - tokens < max(32, tokens / 16)


@pytest.mark.slow
def test_few_numbers_of_rows_are_compiled():
    rows = {int(training_data._rounded(tf.constant(n))) for n in range(1, 20_000, 29)}
    assert len(rows) < 180


def test_rows_of_a_batch_are_of_like_length(files, monkeypatch):
    def padding(window):
        monkeypatch.setattr(training_data, "WINDOW", window)
        epoch = epoch_of(batches(files, 16, MAX_TOKENS, seed=1))
        return sum((source == PAD).sum() + (labels == PAD).sum() for source, _, labels in epoch)

    assert padding(64) < 0.6 * padding(1)


def test_the_survey_counts_what_an_epoch_has(files):
    assert survey(files, 16, MAX_TOKENS) == Corpus(
        examples=len(SHORT),
        too_long=len(CORPUS) - len(SHORT),
        target_tokens=sum(len(target) - 1 for _, target in SHORT),  # BOS is given, not learned
        batches=-(-len(SHORT) // 16),
    )
    assert len(CORPUS) - len(SHORT) == 10


def test_an_example_as_long_as_the_limit_is_used(files):
    longest = max(max(map(len, pair)) for pair in CORPUS)
    assert survey(files, 16, longest).too_long == 0
    assert survey(files, 16, longest - 1).too_long == 5


@pytest.mark.parametrize("max_tokens", [100, MAX_TOKENS, 5])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 204, 1000])
def test_the_survey_knows_the_batches(files, batch_size, max_tokens):
    epoch = epoch_of(batches(files, batch_size, max_tokens, seed=3))
    assert len(epoch) == survey(files, batch_size, max_tokens).batches


@pytest.mark.parametrize("batch_tokens", [1, 16, 64, 10_000])
def test_batches_by_tokens_hold_every_example_and_no_more_tokens(files, batch_tokens):
    epoch = epoch_of(batches(files, 1, MAX_TOKENS, seed=3, batch_tokens=batch_tokens))
    assert Counter(pairs_of(epoch)) == as_counter(SHORT)
    assert len(epoch) == survey(files, 1, MAX_TOKENS, batch_tokens).batches
    for source, _, labels in epoch:
        # The target with its BOS is as long as it is counted.
        longest = max(source.shape[1], labels.shape[1] + 1)
        assert len(source) * longest <= batch_tokens or len(source) == 1


def test_batches_by_tokens_have_an_order_of_their_own_each_epoch(files):
    first, again, other = (
        pairs_of(epoch_of(batches(files, 1, MAX_TOKENS, 3, epoch, batch_tokens=64)))
        for epoch in (0, 0, 1)
    )
    assert first == again != other


def test_when_all_is_too_long_nothing_comes(files):
    assert epoch_of(batches(files, 16, 1)) == []
    assert survey(files, 16, 1) == Corpus(0, len(CORPUS), 0, 0)
    assert survey([], 16, 1) == Corpus(0, 0, 0, 0)


def test_seed_and_epoch_decide_the_order(files):
    def order(seed, epoch):
        return pairs_of(epoch_of(batches(files, 16, MAX_TOKENS, seed, epoch)))

    first = order(9, 0)
    assert order(9, 0) == first
    for other in (order(9, 1), order(10, 0)):
        assert other != first and Counter(other) == Counter(first)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Twelve files of ten pairs, each of a word of its own."""
    folder = tmp_path_factory.mktemp("shards")
    paths = [str(folder / f"part-{number:02}.gz") for number in range(12)]
    for number, path in enumerate(paths):
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for _ in range(10):
                example = tf.train.Example()
                example.features.feature["source_ids"].int64_list.value.extend([10 + number, EOS])
                example.features.feature["target_ids"].int64_list.value.extend([BOS, EOS])
                writer.write(example.SerializeToString())
    return paths


@pytest.mark.parametrize("batch_tokens", [None, 8])
def test_files_that_are_far_apart_meet_in_a_batch_however_small_the_buffer(
    shards, monkeypatch, batch_tokens
):
    monkeypatch.setattr(training_data, "SHUFFLE_BUFFER", 4)
    monkeypatch.setattr(training_data, "FILES_AT_ONCE", 6)

    def words(epoch):
        dataset = batches(shards, 1, MAX_TOKENS, 3, epoch, batch_tokens)
        return [int(source[0]) for source, _ in pairs_of(epoch_of(dataset))]

    first, second = words(0), words(1)
    # Half of the files are read at a time, and which they are is another half in each epoch.
    halves = [set(words[:40]) for words in (first, second)]
    assert all(len(half) == 6 for half in halves) and halves[0] != halves[1]
    assert set(first[:12]) - set(range(10, 16)) and len(set(first[:12])) > 3
    assert words(0) == first and Counter(first) == Counter(second)


def test_without_a_seed_all_epochs_are_the_same(files):
    first, second = (epoch_of(batches(files, 16, MAX_TOKENS, epoch=epoch)) for epoch in range(2))
    assert pairs_of(first) == pairs_of(second)
