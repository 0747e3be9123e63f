"""A training computes where it is told to, or says what it misses."""

import json

import pytest

from seq2seq_tfx.components.distribution import cluster, devices_of, resolve
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.trainer import TrainingConfig


def test_what_the_machine_has_not_is_told_with_what_it_has(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert resolve("auto") == "cpu" and devices_of("cpu") == []
    for asked, needs in (("one_gpu", "a GPU"), ("mirrored", "2 GPUs")):
        with pytest.raises(
            PipelineError,
            match=f"training.distribution: {asked}: expected {needs} "
            "that TensorFlow can use, found devices .*CPU:0",
        ):
            resolve(asked)
    with pytest.raises(PipelineError, match="multi_worker: expected TF_CONFIG"):
        resolve("multi_worker")


def test_a_tpu_is_refused_by_the_configuration_with_what_it_would_need():
    needs = "distribution: tpu: .*initialize_tpu_system.*few fixed shapes.*Choose auto, cpu"
    with pytest.raises(ValueError, match=needs):
        TrainingConfig(distribution="tpu")


def test_the_chief_is_first_whether_it_is_named_or_not(monkeypatch):
    for jobs, task, index in (
        ({"worker": ["a:1", "b:2"]}, {"type": "worker", "index": 1}, 1),
        ({"chief": ["a:1"], "worker": ["b:2"]}, {"type": "chief", "index": 0}, 0),
        ({"chief": ["a:1"], "worker": ["b:2"]}, {"type": "worker", "index": 0}, 1),
    ):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": task}))
        assert resolve("auto") == "multi_worker"
        assert cluster() == (["a:1", "b:2"], index)


@pytest.mark.parametrize(
    "given",
    [
        "{",
        "[]",
        '{"cluster": {}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_cluster_that_is_none_is_told(monkeypatch, given):
    monkeypatch.setenv("TF_CONFIG", given)
    with pytest.raises(PipelineError, match=r"TF_CONFIG: expected .*received"):
        cluster()
