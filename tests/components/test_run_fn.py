"""Which checkpoints a training may take up: its own, and no other's."""

import pytest

from seq2seq_tfx.components import run_fn
from seq2seq_tfx.components.trainer import TrainerSettings, TrainingConfig
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.search_options import SearchConfig
from seq2seq_tfx.serving.predictor import ServingConfig


@pytest.fixture
def identity(tmp_path):
    """The identity of a training, in which some things may be other than usual."""
    train, validation = tmp_path / "train", tmp_path / "validation"
    train.write_bytes(b"1234")
    validation.write_bytes(b"12")

    def of(tokenizer="tokenizer/3", files=(train,), search=None, model=None, **training):
        settings = TrainerSettings(
            model=ModelConfig(**(model or {})),
            training=TrainingConfig(**training),
            search=SearchConfig(**(search or {})),
            serving=ServingConfig(),
        )
        return run_fn._identity(settings, tokenizer, list(map(str, files)), [str(validation)])

    return of


def test_what_decides_the_weights_decides_the_checkpoint(identity, tmp_path, monkeypatch):
    (tmp_path / "more").write_bytes(b"12345")
    found = [
        identity(),
        identity(learning_rate=0.1),
        identity(seed=2),
        identity(model={"dropout": 0.5}),
        identity(tokenizer="tokenizer/4"),
        identity(files=[tmp_path / "more"]),
        identity(files=[tmp_path / "train", tmp_path / "more"]),
    ]
    monkeypatch.setattr(run_fn, "code_digest", lambda *modules: "other code")
    found.append(identity())
    monkeypatch.undo()
    (tmp_path / "train").write_bytes(b"1234567")
    found.append(identity())
    assert len(set(found)) == len(found)


def test_what_does_not_decide_the_weights_does_not(identity):
    assert identity() == identity(checkpoint_minutes=1) == identity(search={"beam_size": 2})
