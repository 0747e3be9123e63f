"""What can be tried is checked before anything runs, and the same seed tries the same."""

import keras_tuner
import pytest
from pydantic import ValidationError
from tensorflow.python.eager import context
from tfx.components.trainer import fn_args_utils

from seq2seq_tfx.components import run_fn
from seq2seq_tfx.components.trainer import TrainerSettings, TrainingConfig
from seq2seq_tfx.components.tuner import try_values
from seq2seq_tfx.components.tuning import TuningConfig, space_of
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.serving.predictor import ServingConfig


@pytest.fixture
def settings():
    return TrainerSettings(
        model=ModelConfig(preset="luong2015"),
        training=TrainingConfig(),
        search=SearchConfig(),
        serving=ServingConfig(),
    )


def test_values_take_the_place_of_those_in_the_configuration_and_of_no_others(settings):
    values = {"training.learning_rate": 0.5, "model.size.units": 96, "model.dropout": 0.25}
    found = settings.with_values(values)
    assert found.training.learning_rate == 0.5
    assert found.model.size.units == 96
    assert found.model.dropout == 0.25
    back = {
        "training.learning_rate": settings.training.learning_rate,
        "model.size.units": settings.model.size.units,
        "model.dropout": settings.model.dropout,
    }
    assert found.with_values(back) == settings


def test_every_key_and_value_that_cannot_be_tried_is_told(settings):
    tuning = TuningConfig(
        keys={
            "training.learning_rate": {"min": -1.0, "max": 0.1},
            "training.speed": [1, 2],
            "gate.thresholds": [1],
            "model.dropout": [0.1, 1.5],
            "model.size": [1],
            "training.epochs": [],
            "model.size.units": {"min": 8, "max": 16, "log": True},
        }
    )
    told = dict(tuning.misfits(settings))
    assert list(told) == [key for key in tuning.keys if key != "model.size.units"]
    assert "received -1.0" in told["training.learning_rate"]
    assert "received 'training.speed'" in told["training.speed"]
    assert "expected a key of model or training" in told["gate.thresholds"]
    assert "received 1.5" in told["model.dropout"]
    assert "empty list" in told["training.epochs"]


@pytest.mark.parametrize(
    ("key", "values", "why"),
    [
        ("training.epochs", {"min": 1, "max": 9}, "tuning.epochs"),
        ("model.preset", ["default", "luong2015"], "name the keys"),
        ("training.max_tokens", [50, 100], "validation split"),
        ("training.label_smoothing", [0.0, 0.1], "val_token_accuracy"),
    ],
)
def test_what_a_trial_cannot_tell_is_not_tried(settings, key, values, why):
    ((told, problem),) = TuningConfig(keys={key: values}).misfits(settings)
    assert told == key and why in problem
    if "accuracy" in why:
        assert not TuningConfig(keys={key: values}, objective=why).misfits(settings)


def test_of_whole_numbers_more_than_the_ends_are_asked(settings):
    settings = settings.model_copy(update={"model": ModelConfig(preset="transformer2017")})
    units = {"min": 128, "max": 512}
    assert TuningConfig(keys={"model.size.units": units}).misfits(settings)
    assert not TuningConfig(keys={"model.size.units": {**units, "step": 64}}).misfits(settings)


def test_a_range_is_drawn_in_its_steps():
    keys = {
        "model.size.units": {"min": 64, "max": 256, "step": 96},
        "model.dropout": {"min": 0.1, "max": 0.5, "step": 0.2},
    }
    units, dropout = space_of(TuningConfig(keys=keys).keys).space
    assert list(units.values) == [64, 160, 256]
    assert list(dropout.values) == pytest.approx([0.1, 0.3, 0.5])
    with pytest.raises(ValidationError, match="step"):
        TuningConfig(keys={"model.dropout": {"min": 1, "max": 5, "step": 0.5}})


@pytest.mark.parametrize("ends", [(2, 1), (1.0, 1.0), (0, 5)])
def test_a_range_rises_and_is_above_zero_where_it_is_logarithmic(ends):
    with pytest.raises(ValidationError, match="expected min < max"):
        TuningConfig(keys={"model.dropout": {"min": ends[0], "max": ends[1], "log": True}})


@pytest.mark.parametrize("found", [["/CPU:0"], []])
def test_a_trial_computes_where_the_distribution_says(settings, tmp_path, monkeypatch, found):
    used = []

    def train(fn_args, tried, devices):
        used.append((list(devices), context.context().device_name, tried.training.epochs))

    monkeypatch.setattr(run_fn, "devices_of", lambda distribution: found * (distribution == "cpu"))
    monkeypatch.setattr(run_fn, "train", train)
    monkeypatch.setattr(run_fn, "discard", lambda _: {"epochs": [{"val_loss": 2.0}]})
    settings = settings.with_values({"training.distribution": "cpu"})
    tuning = TuningConfig(epochs=3, keys={"model.dropout": [0.1]})
    fn_args = fn_args_utils.FnArgs(model_run_dir=str(tmp_path))
    assert try_values({"model.dropout": 0.1}, "1", fn_args, settings, tuning) == {"val_loss": 2.0}
    assert used == [(found, "/job:localhost/replica:0/task:0/device:CPU:0" if found else "", 3)]


def test_the_same_seed_draws_the_same_trials(tmp_path):
    tuning = TuningConfig(
        keys={
            "training.learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
            "model.size.units": {"min": 8, "max": 64},
            "model.dropout": [0.1, 0.3],
        }
    )

    def trials(seed, folder):
        oracle = keras_tuner.oracles.RandomSearchOracle(
            keras_tuner.Objective("val_loss", "min"), 4, seed, space_of(tuning.keys)
        )
        oracle._set_project_dir(str(tmp_path / folder), "trials")
        return [oracle.create_trial("one").hyperparameters.values for _ in range(4)]

    drawn = trials(1, "a")
    assert drawn == trials(1, "b") != trials(2, "c")
    for values in drawn:
        assert 1e-4 <= values["training.learning_rate"] <= 1e-2
        assert isinstance(values["model.size.units"], int)
