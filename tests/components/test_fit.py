"""A fit that is interrupted loses nothing, and ends with the best weights."""

import collections
import math
import os
import resource
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from seq2seq_tfx.components import fit as fit_module
from seq2seq_tfx.components import interruption, progress
from seq2seq_tfx.components.checkpoints import Checkpoints
from seq2seq_tfx.components.fused_adam import FusedAdam

from .fitting import EPOCHS, STEPS, make_fit, schedule, write_pairs

pytestmark = [pytest.mark.slow, pytest.mark.modern]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"))


def weights(fit):
    return [weight.tobytes() for weight in fit._model.get_weights()]


def validation(history):
    return [(epoch["val_loss"], epoch["val_token_accuracy"]) for epoch in history]


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """One that nothing interrupts."""
    fit = make_fit(files, tmp_path_factory.mktemp("whole"))
    return fit, fit.run()


def interrupted(fit, step=None, monkeypatch=None):
    """Runs until a signal: while that step is being made, or the second validation."""
    if step is not None:
        before = fit.after_step

        def after_step(logs):
            if fit.epoch * STEPS + fit.step + 1 == step:
                os.kill(os.getpid(), signal.SIGTERM)
            before(logs)

        monkeypatch.setattr(fit, "after_step", after_step)
    else:
        before = fit._reporter.trained

        def trained():
            if fit.epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            before()

        monkeypatch.setattr(fit._reporter, "trained", trained)
    with interruption.stoppable(), pytest.raises(interruption.Interrupted, match="SIGTERM at step"):
        fit.run()


@pytest.mark.parametrize("step", [1, 7, STEPS, None, 3 * STEPS + 2])
def test_stopped_by_a_signal_and_taken_up_it_ends_the_same(
    files, whole, tmp_path, monkeypatch, step
):
    interrupted(make_fit(files, tmp_path), step, monkeypatch)
    again = make_fit(files, tmp_path)
    history = again.run()
    assert validation(history) == validation(whole[1])
    assert weights(again) == weights(whole[0])


def test_stopped_twice_it_ends_the_same(files, whole, tmp_path, monkeypatch):
    for step in (3, 13):
        interrupted(make_fit(files, tmp_path), step, monkeypatch)
    again = make_fit(files, tmp_path)
    again.run()
    assert weights(again) == weights(whole[0])


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(files, whole, tmp_path, monkeypatch):
    interrupted(make_fit(files, tmp_path, seconds=0.0), 8, monkeypatch)
    before, newest = sorted(tmp_path.glob("*.npz"))
    assert before.name == "000000007.npz"
    content = newest.read_bytes()
    for damage in (content[: len(content) // 2], b"", content.replace(b'"history"', b'"historY"')):
        newest.write_bytes(damage)
        notes = []
        watcher = type("", (), {"note": notes.append, "training": lambda progress: None})
        again = make_fit(files, tmp_path)
        with progress.listening(watcher):
            again._restore()
        assert notes == ["going on from step 2 of epoch 2"]
    history = again.run()
    assert weights(again) == weights(whole[0])
    assert validation(history) == validation(whole[1])


def test_a_disk_that_is_full_leaves_the_checkpoint_before(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.save(1, {"step": 1}, [np.arange(4)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert not checkpoints.save(2, {"step": 2}, [np.zeros(10_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    state, (array,) = checkpoints.newest()
    assert state == {"step": 1} and array.tolist() == [0, 1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_step_is_a_batch(whole):
    assert whole[0]._model.optimizer.iterations == EPOCHS * STEPS


def test_tensorboard_finds_every_curve_at_its_step(files, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "CURVE_STEPS", 2)
    history = make_fit(files, tmp_path).run()
    (log,) = (tmp_path / "curves").iterdir()
    curves = collections.defaultdict(list)
    for record in tf.data.TFRecordDataset(str(log)):
        event = event_pb2.Event.FromString(record.numpy())
        for value in event.summary.value:
            curves[value.tag].append((event.step, float(tf.make_ndarray(value.tensor))))
    for name in ("loss", "token_accuracy"):
        expected = {STEPS * i: epoch[f"val_{name}"] for i, epoch in enumerate(history, start=1)}
        assert dict(curves[f"validation/{name}"]) == pytest.approx(expected)
    # Step 10 is the last of its epoch, and the epoch's mean is what history has.
    assert dict(curves["train/loss"])[10] == pytest.approx(history[1]["loss"])
    every = list(range(2, EPOCHS * STEPS + 1, 2))
    of_training = ("learning_rate", "target_tokens_per_second", "gradient_norm")
    for name in ("loss", "token_accuracy", *of_training):
        assert [step for step, _ in curves[f"train/{name}"]] == every
    rates = [0.025 * (1 + math.cos(math.pi * n / (EPOCHS * STEPS))) for n in every]
    assert [rate for _, rate in curves["train/learning_rate"]] == pytest.approx(rates, abs=1e-6)


def test_the_best_weights_stay_and_patience_ends_it(files, tmp_path):
    fit = make_fit(files, tmp_path, validation="other", patience=2)
    losses = [loss for loss, _ in validation(fit.run())]
    assert len(losses) == 3 and losses[0] < min(losses[1:])
    assert fit._model.evaluate(fit._validation, verbose=0, return_dict=True)[
        "loss"
    ] == pytest.approx(losses[0])


def test_an_epoch_whose_loss_is_no_number_is_not_the_best_for_long(files, tmp_path, monkeypatch):
    fit = make_fit(files, tmp_path)
    costs = iter([math.nan] + [1.0] * (EPOCHS - 1))
    monkeypatch.setattr(fit, "_cost", lambda measured: next(costs))
    kept = []
    save = fit._save
    monkeypatch.setattr(fit, "_save", lambda: (kept.append(fit._best), save())[1])
    fit.run()
    first, second, *later = (weights_of[0] for weights_of in kept)
    assert not np.array_equal(first, second)
    assert all(np.array_equal(second, one) for one in later)


def test_the_best_weights_outlast_an_interruption(files, tmp_path, monkeypatch):
    whole = make_fit(files, tmp_path / "whole", validation="other", patience=2)
    whole.run()
    interrupted(make_fit(files, tmp_path / "1", validation="other"), 2 * STEPS + 1, monkeypatch)
    again = make_fit(files, tmp_path / "1", validation="other", patience=2)
    assert len(again.run()) == 3
    assert weights(again) == weights(whole)


AVERAGES = {
    "mean": lambda: {"averaged_epochs": 3},
    "ema": lambda: {"optimizer": FusedAdam(schedule(0.05), use_ema=True, ema_momentum=0.8)},
}


@pytest.mark.parametrize(
    ("kind", "step"),
    [("mean", None), ("ema", 3 * STEPS + 2), ("ema", 2 * STEPS), ("sampled", STEPS + 2)],
)
def test_averages_and_what_is_sampled_outlast_an_interruption(
    files, tmp_path, monkeypatch, kind, step
):
    options = {**AVERAGES, "sampled": lambda: {"sampling": (0.8, EPOCHS * STEPS)}}[kind]
    whole = make_fit(files, tmp_path / "whole", **options())
    expected = validation(whole.run())
    interrupted(make_fit(files, tmp_path / "1", **options()), step, monkeypatch)
    again = make_fit(files, tmp_path / "1", **options())
    assert validation(again.run()) == expected
    assert weights(again) == weights(whole)


def by_epoch(fit, monkeypatch):
    """Runs, and gives the weights that the model had after each epoch's last step."""
    found, before = [], fit._reporter.trained
    monkeypatch.setattr(
        fit._reporter,
        "trained",
        lambda: (before(), found.append(fit._model.get_weights())),
    )
    fit.run()
    return found


def validated(fit, weights):
    """Their loss, and the model as it was."""
    fit._model.set_weights(weights)
    return fit._model.evaluate(fit._validation, verbose=0, return_dict=True)["loss"]


def test_the_mean_of_the_last_epochs_is_validated_and_training_goes_on_without_it(
    files, whole, tmp_path, monkeypatch
):
    plain = by_epoch(make_fit(files, tmp_path / "plain"), monkeypatch)
    fit = make_fit(files, tmp_path / "mean", averaged_epochs=3)
    own = by_epoch(fit, monkeypatch)
    for one, other in zip(plain, own, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    for i, epoch in enumerate(fit.history):
        mean = [np.mean(same, axis=0) for same in zip(*own[max(0, i - 2) : i + 1], strict=True)]
        assert validated(fit, mean) == pytest.approx(epoch["val_loss"], rel=1e-5)


def test_the_moving_average_is_validated(files, tmp_path, monkeypatch):
    momentum, average = 0.8, []

    class Following(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now = self.model.get_weights()
            pairs = zip(average or now, now, strict=True)
            average[:] = [momentum * a + (1 - momentum) * b for a, b in pairs]

    fit = make_fit(files, tmp_path, **AVERAGES["ema"]())
    train = fit._model.fit
    monkeypatch.setattr(
        fit._model,
        "fit",
        lambda data, verbose, callbacks: train(
            data, verbose=verbose, callbacks=[*callbacks, Following()]
        ),
    )
    fit.run()
    assert validated(fit, average) == pytest.approx(fit.history[-1]["val_loss"], rel=1e-4)


def test_training_goes_on_without_the_moving_average(files, tmp_path, monkeypatch):
    plain = by_epoch(make_fit(files, tmp_path / "plain"), monkeypatch)
    own = by_epoch(make_fit(files, tmp_path / "ema", **AVERAGES["ema"]()), monkeypatch)
    for one, other in zip(plain, own, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


class Decoded:
    """Figures in place of those that decoding would give."""

    metric = "bleu"

    def __init__(self, figures):
        self.figures = iter(figures)

    def loss(self, figure):
        return -figure

    def __call__(self):
        return next(self.figures)


def test_what_is_decoded_decides_in_place_of_the_loss(files, tmp_path):
    fit = make_fit(files, tmp_path, decoded=Decoded([3.0, 9.0, 4.0, 8.0]), patience=2)
    history = fit.run()
    assert [epoch["val_bleu"] for epoch in history] == [3.0, 9.0, 4.0, 8.0]
    losses = [epoch["val_loss"] for epoch in history]
    assert losses[1] > min(losses)
    assert fit._model.evaluate(fit._validation, verbose=0, return_dict=True)[
        "loss"
    ] == pytest.approx(losses[1])


def test_the_rate_falls_after_each_epoch_that_is_no_better(files, tmp_path):
    fit = make_fit(
        files,
        tmp_path,
        decoded=Decoded([3.0, 2.0, 4.0, 4.0]),
        optimizer=keras.optimizers.Adam(0.08),
        plateau_factor=0.5,
    )
    fit.run()
    assert fit._learning_rate() == pytest.approx(0.02)
