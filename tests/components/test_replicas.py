"""Several that learn from a batch together go where one goes that has all of it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from seq2seq_tfx.components.checkpoints import Checkpoints
from seq2seq_tfx.components.curves import Curves
from seq2seq_tfx.components.distribution import cluster
from seq2seq_tfx.components.fit import Fit, Plan
from seq2seq_tfx.components.replicas import Replicas, seed_states, shard_of
from seq2seq_tfx.components.training_data import batches, survey, teacher_forcing
from seq2seq_tfx.components.workers import Workers
from seq2seq_tfx.models import features
from seq2seq_tfx.models.losses import TokenAccuracy, TokenCrossEntropy
from seq2seq_tfx.models.model_config import ModelConfig
from seq2seq_tfx.models.seq2seq import build_seq2seq

BATCH, MAX_TOKENS, VOCABULARY, EPOCHS = 8, 20, 12, 2
STEPS = 4  # an epoch; the last has a row fewer than there are workers
PAIRS = 3 * BATCH + 1


def write_pairs(place):
    generator = np.random.default_rng(3)
    with tf.io.TFRecordWriter(str(place), "GZIP") as writer:
        for i in range(PAIRS):
            example = tf.train.Example()
            example.features.feature["weight"].float_list.value.append(1 + i % 4)
            for name, begin in (("source_ids", []), ("target_ids", [1])):
                ids = [*begin, *generator.integers(4, 9, generator.integers(1, 6)), 2]
                example.features.feature[name].int64_list.value.extend(ids)
            writer.write(example.SerializeToString())


def trained(file, folder, weighted, replicas_of=None, dropout=0.0):
    """What a fit came to: its history, and its last weights."""
    keras.utils.set_random_seed(1)
    config = ModelConfig(size={"embedding": 4, "units": 6}, dropout=dropout)
    model = build_seq2seq(config, VOCABULARY, VOCABULARY)
    model.compile(
        keras.optimizers.Adam(0.01, global_clipnorm=0.5),  # which cuts most of them
        TokenCrossEntropy(0.1),
        metrics=[TokenAccuracy()],
        jit_compile=False,
    )
    fit = Fit(
        model,
        lambda epoch: batches([file], BATCH, MAX_TOKENS, 5, epoch, weighted=weighted),
        batches([file], BATCH, MAX_TOKENS).apply(tf.data.experimental.assert_cardinality(STEPS)),
        survey([file], BATCH, MAX_TOKENS),
        Plan(EPOCHS, EPOCHS, 0.0),
        Checkpoints(Path(folder)),
        Curves(str(Path(folder) / "curves")),
        replicas=replicas_of(model) if replicas_of else None,
    )
    return fit.run(), model.get_weights()


def same(one, other):
    for epoch, expected in zip(one[0], other[0], strict=True):
        assert epoch == pytest.approx(expected, rel=1e-4)
    for weight, expected in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(weight, expected, atol=2e-5)


def test_shards_are_all_of_a_batch_and_their_shares_of_the_mean_add_up_to_it():
    generator = np.random.default_rng(1)
    for rows, count in ((5, 2), (2, 3), (1, 2)):
        target = np.zeros((rows, 6), np.int64)
        for i, row in enumerate(target):
            row[0], row[1 : 3 + i % 3] = 1, generator.integers(3, 9, 2 + i % 3)
        source = generator.integers(3, 9, (rows, 4))
        inputs, labels = teacher_forcing(
            {features.SOURCE_IDS: tf.constant(source), features.TARGET_IDS: tf.constant(target)}
        )
        shards = [shard_of(inputs, labels, i, count) for i in range(count)]
        tokens = [int(tf.math.count_nonzero(labels)) for _, labels, _ in shards]
        assert sum(tokens) == np.count_nonzero(target[:, 1:])
        for i, (mine, its_labels, share) in enumerate(shards):
            rows_of_it = target[i::count] if i < rows else target[:1]
            np.testing.assert_array_equal(mine[features.TARGET_IDS], rows_of_it[:, :-1])
            np.testing.assert_allclose(share, tokens[i] / sum(tokens))
            real = its_labels.numpy()[: tokens[i]]
            expected = target[i::count][:, 1:]
            np.testing.assert_array_equal(real, expected[expected > 0])


def test_each_worker_draws_a_dropout_of_its_own():
    config = ModelConfig(size={"embedding": 4, "units": 6}, dropout=0.5)
    found = []
    for index in range(3):
        keras.utils.set_random_seed(1)
        model = build_seq2seq(config, VOCABULARY, VOCABULARY)
        model.decoder.dropout.seed_generator.next()
        # The chief's numbers are this process's own.
        Replicas(model, [""], index, 3, lambda _: tf.constant([7.0])).begin(7)
        found.append([keras.ops.convert_to_numpy(state) for state in seed_states(model)])
    for chiefs, *others in zip(*found, strict=True):
        assert len({int(seed) for seed, _ in (chiefs, *others)}) == 3
        assert {int(count) for _, count in others} == {int(chiefs[1])}
    assert len(found[0]) == 2 and {int(count) for _, count in found[0]} == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_devices_and_processes_go_where_one_process_goes(tmp_path, weighted):
    write_pairs(tmp_path / "pairs")
    alone = trained(str(tmp_path / "pairs"), tmp_path / "alone", weighted)
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    addresses = [f"127.0.0.1:{port}" for port in ports]
    workers = []
    for i in range(2):
        told = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(told)}
        command = [sys.executable, __file__, str(tmp_path), str(int(weighted))]
        workers.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    devices = tmp_path / "two"
    pairs = str(tmp_path / "pairs")
    two = trained(pairs, devices, weighted, lambda model: Replicas(model, ["", ""]))
    same(two, alone)
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors.decode()[-3000:]
    for i in range(2):
        with np.load(tmp_path / f"{i}.npz") as kept:
            weights = [kept[f"arr_{j}"] for j in range(len(kept.files))]
        history = json.loads((tmp_path / f"{i}.json").read_text())
        same((history, weights), alone)
    # The chief alone kept checkpoints.
    assert list((tmp_path / "worker-0").glob("*.npz"))
    assert not list((tmp_path / "worker-1").glob("*.npz"))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    together = Workers(cluster())
    found, its_weights = trained(
        str(folder / "pairs"),
        folder / f"worker-{together.index}",
        bool(int(sys.argv[2])),
        lambda model: Replicas(model, [""], together.index, together.count, together.all_reduce),
    )
    np.savez(folder / f"{together.index}.npz", *its_weights)
    (folder / f"{together.index}.json").write_text(json.dumps(found))
