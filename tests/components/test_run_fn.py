"""What a training leaves of itself: checkpoints that it alone takes up, its record, its errors."""

import json
import re

import pytest
import tensorflow as tf
from tfx.components.trainer import fn_args_utils

from seq2seq_tfx.components import run_fn
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.tokenizer_trainer import SideConfig, train_tokenizer
from seq2seq_tfx.components.trainer import TrainerSettings, TrainingConfig
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.serving.predictor import ServingConfig


def settings_of(search=None, model=None, weighted=False, **training):
    return TrainerSettings(
        weighted=weighted,
        model=ModelConfig(**(model or {})),
        training=TrainingConfig(**training),
        search=SearchConfig(**(search or {})),
        serving=ServingConfig(),
    )


@pytest.fixture
def identity():
    """The identity of a training, in which some things may be other than usual."""

    def of(train="1", validation="2", tokenizer="3", **others):
        inputs = {"train": train, "validation": validation, "tokenizer": tokenizer}
        return run_fn._identity(settings_of(**others), inputs)

    return of


def test_what_decides_the_weights_decides_the_checkpoint(identity, monkeypatch):
    found = [
        identity(),
        identity(learning_rate=0.1),
        identity(seed=2),
        identity(model={"dropout": 0.5}),
        identity(tokenizer="4"),
        identity(train="4"),
        identity(validation="4"),
    ]
    monkeypatch.setattr(run_fn, "code_digest", lambda *modules: "other code")
    found.append(identity())
    assert len(set(found)) == len(found)


def test_what_does_not_decide_the_weights_does_not(identity):
    assert identity() == identity(checkpoint_minutes=1) == identity(search={"beam_size": 2})


def write_pairs(place, *words, weights=()):
    place.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(place), "GZIP") as writer:
        for i, word in enumerate(words):
            example = tf.train.Example()
            example.features.feature["weight"].float_list.value.extend(weights[i : i + 1])
            for name, ids in (("source_ids", [word, 2]), ("target_ids", [1, word, 2])):
                example.features.feature[name].int64_list.value.extend(ids)
            writer.write(example.SerializeToString())


def trained(folder, *words, text="a b c d", weights=None, **training):
    """Trains on files in a folder of their own; returns the arguments that it was given."""
    for split in ("train", "validation"):
        of_split = weights[split] if weights else ()
        write_pairs(folder / "examples" / split / "part-0.gz", *words, weights=of_split)
    for side in ("source", "target"):
        place = folder / "tokenizer" / f"{side}.model"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(train_tokenizer(iter([text]), SideConfig(kind="word"), False))
    fn_args = fn_args_utils.FnArgs(
        train_files=[str(folder / "examples/train/*")],
        eval_files=[str(folder / "examples/validation/*")],
        model_run_dir=str(folder / "run"),
        custom_config={
            run_fn.TOKENIZER: str(folder / "tokenizer"),
            run_fn.CHECKPOINTS: str(folder / "checkpoints"),
        },
    )
    model = {"size": {"embedding": 4, "units": 6}}
    weighted = weights is not None
    run_fn.train(fn_args, settings_of(model=model, weighted=weighted, epochs=1, **training))
    return fn_args


def record_of(folder):
    return json.loads((folder / "run" / run_fn.HISTORY).read_text())


@pytest.mark.slow
def test_the_record_has_seed_versions_and_a_digest_of_what_the_inputs_hold(tmp_path):
    trained(tmp_path / "1", 4, 5, 6, 7, seed=9)
    record = record_of(tmp_path / "1")
    assert record["seed"] == 9 and record["versions"]["tensorflow"] == tf.__version__
    assert set(record["versions"]) == {"tensorflow", "keras"}
    assert all(re.fullmatch("[0-9a-f]{64}", record["inputs"][name]) for name in record["inputs"])
    trained(tmp_path / "again", 4, 5, 6, 7, seed=9)
    assert record_of(tmp_path / "again")["inputs"] == record["inputs"]
    assert record_of(tmp_path / "again")["identity"] == record["identity"]
    # As long, and another.
    trained(tmp_path / "other", 4, 5, 7, 6, text="a b c e", seed=9)
    other = record_of(tmp_path / "other")
    for name in ("train", "validation", "tokenizer"):
        assert other["inputs"][name] != record["inputs"][name]
    assert other["identity"] != record["identity"]


@pytest.mark.slow
def test_weights_decide_of_training_and_not_of_what_is_held_out(tmp_path):
    def record(name, train, validation):
        weights = {"train": train, "validation": validation}
        trained(tmp_path / name, 4, 5, 6, 7, weights=weights)
        return record_of(tmp_path / name)

    first = record("1", [1, 2, 0, 4], [1, 2, 0, 4])
    assert (first["train"]["examples"], first["train"]["of_no_weight"]) == (3, 1)
    assert first["validation"]["examples"] == 4
    again = record("2", [1, 2, 0, 4], [5, 0, 0, 0])
    assert again["epochs"] == first["epochs"] and again["identity"] == first["identity"]
    other = record("3", [1, 2, 0, 5], [1, 2, 0, 4])
    assert other["epochs"] != first["epochs"] and other["identity"] != first["identity"]


def test_a_training_of_fewer_batches_than_make_an_update_is_told(tmp_path):
    told = r"training.accumulate: expected at most 2, .* \(1 times 2\).* received 3. Lower it"
    with pytest.raises(PipelineError, match=told):
        trained(tmp_path, 4, 5, 6, batch_size=2, accumulate=3)


@pytest.mark.slow
def test_a_train_split_that_weighs_nothing_is_told(tmp_path):
    told = r"data.weight: expected pairs of the train split with a weight above 0, found 2 of"
    with pytest.raises(PipelineError, match=told):
        trained(tmp_path, 4, 5, weights={"train": [0, 0], "validation": [1, 1]})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "first"),
    [({"batch_size": 3}, r"batch_size \(3;"), ({"batch_tokens": 1000}, r"batch_tokens \(1,000;")],
)
def test_a_step_that_memory_does_not_hold_names_the_settings_to_lower(
    tmp_path, monkeypatch, training, first
):
    def call(self, y_true, y_pred):
        petabytes = tf.size(y_pred, tf.int64) * 2**50
        return tf.reduce_mean(y_pred, axis=-1) + tf.reduce_sum(tf.fill([petabytes], 0.5))

    # Within a step of Keras's `fit`: TensorFlow's own allocator refuses.
    monkeypatch.setattr(run_fn.TokenCrossEntropy, "call", call)
    with pytest.raises(
        PipelineError, match=rf"needs more memory than there is. Lower training.{first}.*max_tokens"
    ):
        trained(tmp_path, 4, 5, 6, **training)
