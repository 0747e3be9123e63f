"""How long the chief of several workers waits for them, and what it says when they are gone."""

import sys
from types import SimpleNamespace

import pytest

from seq2seq_tfx.components import progress, workers
from seq2seq_tfx.components.distribution import TF_CONFIG
from seq2seq_tfx.components.errors import Passing, PeersLost, PipelineError

CLUSTER = """{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}"""


def test_workers_that_do_not_come_are_not_waited_for_for_ever():
    command = [sys.executable, "-c", "print('of a library', flush=True); input()"]
    with pytest.raises(PipelineError, match=r"workers of TF_CONFIG within 0 s.*delete the Job"):
        workers._watched(command, patience=0)


def test_a_training_that_has_begun_takes_as_long_as_it_takes(monkeypatch, tmp_path):
    clock, begun = [0.0], tmp_path / "begun"
    monkeypatch.setattr(workers.time, "monotonic", lambda: clock[0])
    code = (
        "import pathlib, time\n"
        "print('NOTE', '\"all 2 workers are there\"', flush=True)\n"
        f"while not pathlib.Path({str(begun)!r}).exists(): time.sleep(0.1)"
    )

    def note(text):
        clock[0] = 1e6
        begun.touch()

    with progress.listening(SimpleNamespace(note=note)):
        assert workers._watched([sys.executable, "-c", code], patience=60) == (0, "")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (workers.LOST, PeersLost),
        (workers.TO_MEND, PipelineError),
        (1, Passing),
        (-9, Passing),  # killed, which may not happen again
    ],
)
def test_a_worker_that_went_away_is_told_from_a_fault(monkeypatch, tmp_path, code, kind):
    monkeypatch.setenv(TF_CONFIG, CLUSTER)
    monkeypatch.setattr(workers, "_watched", lambda *_: (code, "why"))
    given = dict.fromkeys(workers._KEYS) | {"custom_config": {workers.CHECKPOINTS: str(tmp_path)}}
    with pytest.raises(PipelineError, match="why") as raised:
        workers.lead(SimpleNamespace(**given))
    assert raised.type is kind
