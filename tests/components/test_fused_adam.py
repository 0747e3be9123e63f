"""The fused Adam against Keras's own on dense gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.fused_adam import FusedAdam
from seq2seq_tfx.components.gradient_norm import gradient_norm
from seq2seq_tfx.components.optimizers import optimizer_of
from seq2seq_tfx.components.trainer import TrainerSettings, TrainingConfig
from seq2seq_tfx.components.training_data import teacher_forcing
from seq2seq_tfx.models.losses import TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq

TOKENS, WIDTH = 11, 5


def trained(optimizer, steps, dense):
    """An embedding, of which each step sees some rows, some of them twice, and a dense weight."""
    rng = np.random.default_rng(1)
    embedding = keras.Variable(rng.normal(size=(TOKENS, WIDTH)).astype("float32"))
    kernel = keras.Variable(rng.normal(size=(WIDTH, WIDTH)).astype("float32"))
    optimizer.build([embedding, kernel])

    @tf.function
    def step(ids, of_rows, of_kernel):
        slices = tf.IndexedSlices(of_rows, ids, tf.constant([TOKENS, WIDTH], tf.int64))
        gradients = [tf.convert_to_tensor(slices) if dense else slices, of_kernel]
        optimizer.apply(gradients, [embedding, kernel])

    for _ in range(steps):
        ids = rng.integers(0, TOKENS, 4)
        gradients = (rng.normal(size=(rows, WIDTH)) for rows in (len(ids), WIDTH))
        step(tf.constant(ids), *(tf.constant(x, tf.float32) for x in gradients))
    return embedding.numpy(), kernel.numpy()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1},
        {"global_clipnorm": 0.01, "epsilon": 1e-4},
        {"global_clipnorm": 6.7},  # above some of the norms, below others
        {"global_clipnorm": 1.0, "gradient_accumulation_steps": 3},
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "ema_overwrite_frequency": 4},
        {"amsgrad": True},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.003, 20)},
    ],
    ids=lambda settings: "-".join(settings) or "plain",
)
def test_it_finds_the_weights_that_keras_finds(settings):
    settings = {"learning_rate": 0.003, **settings}
    found = trained(FusedAdam(**settings), 15, dense=False)
    expected = trained(keras.optimizers.Adam(**settings), 15, dense=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_lazy_embedding_moves_the_rows_of_each_batch_alone():
    """Kingma and Ba (2015), section 2, row by row; the rate is corrected by all steps."""
    rate, beta_1, beta_2, epsilon, limit = 0.003, 0.9, 0.999, 1e-7, 2.0
    optimizer = FusedAdam(rate, global_clipnorm=limit, lazy_embeddings=True)
    rng = np.random.default_rng(1)
    shapes = (TOKENS, WIDTH), (WIDTH, WIDTH)
    weights = [rng.normal(size=shape).astype("float32") for shape in shapes]
    variables = [keras.Variable(weight) for weight in weights]
    optimizer.build(variables)

    @tf.function
    def step(ids, of_rows, of_kernel):
        slices = tf.IndexedSlices(of_rows, ids, tf.constant([TOKENS, WIDTH], tf.int64))
        optimizer.apply([slices, of_kernel], variables)

    firsts, seconds = ([np.zeros(shape) for shape in shapes] for _ in range(2))
    for number in range(1, 9):
        ids = rng.integers(0, TOKENS - 1, 4)  # the last token never comes
        gradients = [rng.normal(size=(rows, WIDTH)) for rows in (len(ids), WIDTH)]
        step(tf.constant(ids), *(tf.constant(x, tf.float32) for x in gradients))
        dense = [np.zeros(shapes[0]), gradients[1]]
        np.add.at(dense[0], ids, gradients[0])
        norm = np.sqrt(sum((one**2).sum() for one in dense))
        for i, rows in enumerate((np.unique(ids), np.arange(WIDTH))):
            cut = dense[i][rows] * min(1, limit / norm)
            firsts[i][rows] = beta_1 * firsts[i][rows] + (1 - beta_1) * cut
            seconds[i][rows] = beta_2 * seconds[i][rows] + (1 - beta_2) * cut**2
            corrected = rate * np.sqrt(1 - beta_2**number) / (1 - beta_1**number)
            weights[i][rows] -= corrected * firsts[i][rows] / (np.sqrt(seconds[i][rows]) + epsilon)
        assert gradient_norm(optimizer) == pytest.approx(norm, rel=1e-5)
    for i, variable in enumerate(variables):
        np.testing.assert_allclose(variable, weights[i], atol=1e-6)
        np.testing.assert_allclose(optimizer._momentums[i], firsts[i], atol=1e-6)
        np.testing.assert_allclose(optimizer._velocities[i], seconds[i], atol=1e-6)


def test_an_embedding_that_is_the_output_layer_is_not_lazy():
    settings = {"search": {}, "serving": {}, "training": {"lazy_embeddings": True}}
    TrainerSettings.model_validate({**settings, "model": {"preset": "default"}})
    tied = {"preset": "default", "tied_embeddings": "output"}
    with pytest.raises(ValueError, match=r"tied_embeddings: none.*received output"):
        TrainerSettings.model_validate({**settings, "model": tied})


def test_embeddings_of_a_model_are_lazy_where_they_are_asked_to_be():
    keras.utils.set_random_seed(1)
    model = build_seq2seq(ModelConfig(size={"embedding": 4, "units": 6}), TOKENS, TOKENS)
    optimizer = optimizer_of(TrainingConfig(lazy_embeddings=True, schedule="constant"), 1)
    model.compile(optimizer, TokenCrossEntropy(), jit_compile=False)

    def embeddings():
        names = [weight.path for weight in model.weights if "embeddings" in weight.path]
        assert len(names) == 2
        return [w.numpy() for w in model.weights if w.path in names]

    def fit(*words):
        ids = {"source_ids": [[*words, 2]], "target_ids": [[1, *words, 2]]}
        rows = tf.data.Dataset.from_tensors({k: tf.constant(v, tf.int64) for k, v in ids.items()})
        model.fit(rows.map(teacher_forcing), verbose=0)
        return embeddings()

    before, after = fit(4, 5), fit(6, 7)
    for one, other in zip(before, after, strict=True):
        changed = {row for row in range(TOKENS) if (one[row] != other[row]).any()}
        assert {6, 7} <= changed <= {0, 1, 2, 6, 7}


@pytest.mark.parametrize(
    "other",
    [{"optimizer": "sgd"}, {"weight_decay": 0.1}, {"accumulate": 2}, {"distribution": "mirrored"}],
    ids=lambda other: next(iter(other)),
)
def test_what_would_move_every_row_does_not_go_with_lazy_embeddings(other):
    (key,) = other
    with pytest.raises(ValueError, match=f"lazy_embeddings: expected .*received {key}: "):
        TrainingConfig(lazy_embeddings=True, **other)


def test_its_config_makes_another():
    optimizer = FusedAdam(0.01, beta_2=0.98, lazy_embeddings=True)
    twin = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(twin) is FusedAdam and twin.get_config() == optimizer.get_config()
