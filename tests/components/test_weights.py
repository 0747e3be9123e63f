"""Pairs count in training by their weights, and what is no weight is no pair."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.checkpoints import Checkpoints
from seq2seq_tfx.components.curves import Curves
from seq2seq_tfx.components.fit import Fit, Plan
from seq2seq_tfx.components.readers.rows import Pair, Rejected
from seq2seq_tfx.components.replicas import shard_of
from seq2seq_tfx.components.training_data import LEAST_WEIGHT, batches, digest, survey
from seq2seq_tfx.components.training_faults import keep_batch
from seq2seq_tfx.components.weights import with_weight
from seq2seq_tfx.models import losses
from seq2seq_tfx.models.cross_entropy import plain_token_losses
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq

VOCABULARY, MAX_TOKENS, EPOCHS = 12, 9, 2


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("1", 1), ("0", 0), ("-0", 0), ("+0.5", 0.5), (".5", 0.5), ("2.", 2), ("1e-3", 1e-3),
        ("007", 7), ("3.4e38", 3.4e38), ("1e-99", 0), (f"0.{'3' * 60}", 1 / 3),
        (f"{'0' * 90}4", 4),
    ],
)  # fmt: skip
def test_a_number_from_0_on_is_a_weight_and_tensorflow_reads_the_same(text, weight):
    pair = with_weight(Pair("a", "b", "f.tsv", 3, (("w", text), ("id", "7"))), "w")
    assert pair[:4] == ("a", "b", "f.tsv", 3) and pair.extra[1] == ("id", "7")
    read = tf.strings.to_number(pair.extra[0][1], tf.float32)
    assert float(read) == pytest.approx(weight)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "nan",
        "inf",
        "-inf",
        "-1",
        "-1e-9",
        "1,5",
        "1_0",
        "\u0661",
        "0x1",
        "1 2",
        "1e39",
        "e",
    ],
)
def test_all_else_is_a_rejected_row(text):
    row = with_weight(Pair("a", "b", "f.tsv", 3, (("w", text),)), "w")
    expected = f"expected a number from 0 on in 'w', received '{text}'"
    assert row == Rejected("bad_weight", expected, "f.tsv", 3, "a\tb")


def pairs_of(count, seed=3):
    generator = np.random.default_rng(seed)
    return [
        (
            [*generator.integers(4, 12, generator.integers(1, 6)), 2],
            [1, *generator.integers(4, 12, generator.integers(1, 6)), 2],
        )
        for _ in range(count)
    ]


def write(place, pairs, weights=None):
    with tf.io.TFRecordWriter(str(place), "GZIP") as writer:
        for i, (source, target) in enumerate(pairs):
            example = tf.train.Example()
            example.features.feature["source_ids"].int64_list.value.extend(source)
            example.features.feature["target_ids"].int64_list.value.extend(target)
            if weights is not None:
                example.features.feature["weight"].float_list.value.append(weights[i])
            writer.write(example.SerializeToString())
    return [str(place)]


def only(dataset):
    (batch,) = dataset
    return batch


def model_of(**parts):
    keras.utils.set_random_seed(1)
    config = ModelConfig(size={"embedding": 4, "units": 6}, dropout=0.0, **parts)
    model = build_seq2seq(config, VOCABULARY, VOCABULARY)
    model.compile(
        keras.optimizers.Adam(0.01, global_clipnorm=0.5),
        TokenCrossEntropy(0.1),
        metrics=[TokenAccuracy()],
        jit_compile=False,
    )
    return model


def gradients(model, batch):
    """Of the loss that Keras's training step has, and the loss."""
    inputs, labels, *factors = batch
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        loss = model.compute_loss(inputs, labels, logits, *factors, training=True)
    found = tape.gradient(loss, model.trainable_weights)
    return [float(loss), *(tf.convert_to_tensor(gradient).numpy() for gradient in found)]


def same(one, other):
    for value, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


PAIRS = pairs_of(7)


@pytest.mark.parametrize("kernel", ["fast", "plain"])
def test_weight_2_is_the_pair_twice_and_weight_0_the_pair_left_out(tmp_path, monkeypatch, kernel):
    if kernel == "plain":
        monkeypatch.setattr(losses, "token_losses", plain_token_losses)
    model = model_of()
    weighed = write(tmp_path / "weighed", PAIRS, [2, 1, 0, 1, 3, 1, 1])
    repeated = write(tmp_path / "repeated", [PAIRS[i] for i in (0, 0, 1, 3, 4, 4, 4, 5, 6)])
    one, other = (
        gradients(model, only(batches(files, 20, MAX_TOKENS, weighted=files is weighed)))
        for files in (weighed, repeated)
    )
    same(one, other)
    unweighed = gradients(model, only(batches(weighed, 20, MAX_TOKENS)))
    assert abs(one[0] - unweighed[0]) > 1e-4


def test_both_kernels_of_the_loss_weigh_alike(tmp_path, monkeypatch):
    files = write(tmp_path / "weighed", PAIRS, [0.3, 7, 1e-6, 2, 5, 1, 0])
    model = model_of()
    batch = only(batches(files, 20, MAX_TOKENS, weighted=True))
    fast = gradients(model, batch)
    monkeypatch.setattr(losses, "token_losses", plain_token_losses)
    same(gradients(model, batch), fast)


@pytest.mark.parametrize("scale", [1e-37, 0.5, 3e36])
def test_only_how_weights_relate_counts(tmp_path, scale):
    weights = np.array([2, 1, 0, 1, 3, 1, 1])
    model = model_of()
    one, other = (
        gradients(
            model,
            only(batches(write(tmp_path / name, PAIRS, w), 20, MAX_TOKENS, weighted=True)),
        )
        for name, w in (("one", weights), ("other", weights * scale))
    )
    same(one, other)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_gradients_of_shards_add_up_to_those_of_the_batch(tmp_path, count):
    files = write(tmp_path / "weighed", PAIRS, [2, 1, 0, 1, 3, 1, 0.25])
    model = model_of()
    inputs, labels, factors = batch = only(batches(files, 20, MAX_TOKENS, weighted=True))
    shards = [gradients(model, shard_of(inputs, labels, i, count, factors)) for i in range(count)]
    same([sum(parts) for parts in zip(*shards, strict=True)], gradients(model, batch))


@pytest.mark.parametrize("batch_tokens", [None, 20])
def test_pairs_of_no_weight_are_in_no_batch_and_in_no_count(tmp_path, batch_tokens):
    pairs = [*pairs_of(60), ([4] * 20, [1, 4, 2])]
    weights = [0 if i % 3 == 0 else LEAST_WEIGHT / 2 if i % 3 == 1 else i for i in range(61)]
    files = write(tmp_path / "all", pairs, weights)
    kept = [pair for pair, weight in zip(pairs, weights, strict=True) if weight >= 1]
    used = write(tmp_path / "used", kept, [1.0] * len(kept))
    cut = {"batch_size": 4, "max_tokens": MAX_TOKENS, "batch_tokens": batch_tokens}
    found = survey(files, **cut, weighted=True)
    assert found == survey(used, **cut)._replace(too_long=1, of_no_weight=40)
    epochs = [list(batches(f, seed=1, weighted=True, **cut)) for f in (files, used)]
    assert len(epochs[0]) == len(epochs[1]) == found.batches
    for one, other in zip(*epochs, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one[:2], other[:2])
        real = one[1] != 0
        assert float(tf.reduce_mean(one[2][real])) == pytest.approx(1)
        assert not one[2][~real].numpy().any()


def test_weights_are_part_of_what_a_checkpoint_is_named_by(tmp_path):
    def of(name, weights, weighted):
        folder = tmp_path / name
        folder.mkdir()
        return digest(write(folder / "pairs", PAIRS, weights), weighted)

    plain = of("plain", None, False)
    assert plain == of("ignored", [1.0] * 7, False)
    assert len({plain, of("ones", [1.0] * 7, True), of("other", [1.0] * 6 + [2.0], True)}) == 3


def test_the_pairs_of_a_weighted_batch_can_be_kept(tmp_path):
    class Words:
        def detokenize(self, ids):
            return tf.strings.reduce_join(tf.strings.as_string(ids), axis=1, separator=" ")

    files = write(tmp_path / "weighed", PAIRS[:2], [1.0, 2.0])
    batch = only(batches(files, 2, MAX_TOKENS, weighted=True))
    place = keep_batch(batch, tmp_path / "kept", Words(), Words())
    assert len(place.read_bytes().splitlines()) == 2


def fitted(files, folder, weighted, stops=None):
    """A fit; `stops` ends it after so many steps."""
    model = model_of()
    corpus = survey(files, 4, MAX_TOKENS, weighted=weighted)
    validation = batches(files, 4, MAX_TOKENS)
    fit = Fit(
        model,
        lambda epoch: batches(files, 4, MAX_TOKENS, 5, epoch, weighted=weighted),
        validation.apply(
            tf.data.experimental.assert_cardinality(survey(files, 4, MAX_TOKENS).batches)
        ),
        corpus,
        Plan(EPOCHS, EPOCHS, 0.0),
        Checkpoints(folder),
        Curves(str(folder / "curves")),
    )
    if stops:
        before = fit.after_step

        def after_step(logs):
            before(logs)
            if fit._steps == stops:
                raise KeyboardInterrupt

        fit.after_step = after_step
        with pytest.raises(KeyboardInterrupt):
            fit.run()
        return None
    return fit.run(), model.get_weights()


@pytest.mark.slow
@pytest.mark.modern
def test_a_training_leaves_out_what_weighs_nothing_and_goes_on_where_it_was(tmp_path):
    pairs = pairs_of(30)
    weights = [i % 4 for i in range(30)]
    files = write(tmp_path / "all", pairs, weights)
    history, found = fitted(files, tmp_path / "1", True)
    used = [(pair, weight) for pair, weight in zip(pairs, weights, strict=True) if weight]
    alone = write(tmp_path / "used", *zip(*used, strict=True))
    same(fitted(alone, tmp_path / "2", True)[1], found)
    fitted(files, tmp_path / "3", True, stops=8)
    again, taken_up = fitted(files, tmp_path / "3", True)
    same(taken_up, found)
    assert [epoch["val_loss"] for epoch in again] == [epoch["val_loss"] for epoch in history]
