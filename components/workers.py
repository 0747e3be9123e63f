"""Several processes, on one machine or many, that train one model.

The chief is the process in which Trainer runs; the others are `seq2seq train-worker`.
Collectives must be set up before TensorFlow has done anything in a process, so the chief
trains in a process of its own, too: the same program as the others'.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging
from tfx.components.trainer import fn_args_utils

from . import interruption, progress
from .distribution import Cluster, cluster
from .errors import Passing, PeersLost, PipelineError
from .trainer import CHECKPOINTS, settings_of

JOB = "workers.json"  # in the folder of checkpoints: what the workers train on
_KEYS = (
    "train_files",
    "eval_files",
    "custom_config",
    "model_run_dir",
    "serving_model_dir",
    "hyperparameters",
)
PATIENCE = 3600  # seconds that workers wait for each other, unless told otherwise
GRACE = 60  # seconds from a signal until the chief's training is killed
STOPPED, FAILED, LOST, TO_MEND = 143, 1, 3, 6  # what the chief's training ends with


class Workers:
    """The processes of TF_CONFIG, connected.

    Made before TensorFlow does anything else; waits until all are there.

    Args:
      members: as TF_CONFIG names them.
    """

    def __init__(self, members: Cluster):
        self.index, self.count = members.place, len(members.addresses)
        gpus = tf.config.list_physical_devices("GPU")
        if gpus:  # a worker is one device; of several GPUs each has a worker
            tf.config.set_visible_devices(gpus[:1], "GPU")
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def all_reduce(self, vector: Any) -> Any:
        """The sum of the processes' vectors, in each of them."""

        @tf.autograph.experimental.do_not_convert
        def add(mine: Any) -> Any:
            context = tf.distribute.get_replica_context()
            # A copy is on the device of this worker, and the sum where its parts are.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(mine))

        return self._strategy.run(add, args=(vector,))


def lead(fn_args: fn_args_utils.FnArgs) -> None:
    """Trains with the workers of TF_CONFIG, and exports; this process is the chief.

    Raises:
      PeersLost: a worker went away.
      PipelineError: the training failed, workers did not come, or this process is not the
        chief.
      Interrupted: a process was asked to stop.
    """
    members = cluster()
    if members is None or members.place:
        raise PipelineError(
            "TF_CONFIG: expected the chief, or worker 0, where `seq2seq run` runs; received "
            f"{members}. The others run `seq2seq train-worker` with the same output folder"
        )
    folder = Path(fn_args.custom_config[CHECKPOINTS])
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{JOB}.tmp"
    temporary.write_text(json.dumps({key: getattr(fn_args, key) for key in _KEYS}))
    temporary.replace(folder / JOB)
    others = ", ".join(members.addresses[1:])
    progress.note(f"waiting for the workers at {others}")
    logging.info("chief at %s, waiting for the workers at %s", members.addresses[0], others)
    command = [sys.executable, "-m", __package__ + ".chief", str(folder)]
    try:
        with interruption.saving():
            code, last = _watched(command, PATIENCE)
            if code == STOPPED:
                raise interruption.Interrupted(last)
    finally:
        (folder / JOB).unlink(missing_ok=True)
    if code == LOST:
        raise PeersLost(last)
    if code == TO_MEND:
        raise PipelineError(last)
    if code:  # of a process that was killed nothing is known
        raise Passing(last or f"the chief's training ended with code {code}; see the log")


def follow(output: Path, patience: float, tell: Callable[[str], None] = print) -> None:
    """Trains as one of the workers that are not the chief.

    Args:
      output: of the chief's run, on a disk that both see.
      patience: seconds to wait for the chief's Trainer.
      tell: is given what there is to say meanwhile.

    Raises:
      PipelineError: TF_CONFIG names no such worker, or the chief did not come.
      Interrupted: a process was asked to stop.
    """
    members = cluster()
    if members is None or not members.place:
        raise PipelineError(
            f"TF_CONFIG: expected a worker that is not the chief, received {members}. "
            "The chief, or worker 0, is the process of `seq2seq run`"
        )
    chief = members.addresses[0]
    tell(f"worker {members.place} of {len(members.addresses)}: waiting for the chief at {chief}")
    host, _, port = chief.rpartition(":")
    ends = time.monotonic() + patience
    while not _is_open(host, int(port)):
        if time.monotonic() >= ends:
            raise PipelineError(
                f"expected the chief's Trainer at {chief} within {patience:g} s, found nothing "
                "there. Its run may have ended, or have had Trainer from the cache"
            )
        time.sleep(0.5)
    train_as_one(Path(output).absolute() / "artifacts" / "Trainer" / CHECKPOINTS)


def train_as_one(folder: Path) -> None:
    """Joins the cluster and trains; the chief exports what came of it.

    Args:
      folder: of the checkpoints, and of the job.
    """
    from .run_fn import export, train  # which imports this module

    members = cluster()
    assert members is not None
    workers = Workers(members)
    progress.note(f"all {workers.count} workers are there")
    # The chief wrote it before it came.
    read = json.loads((folder / JOB).read_text())
    own = tempfile.TemporaryDirectory()  # for curves that nobody looks at
    if workers.index:
        read["model_run_dir"] = own.name
    fn_args = fn_args_utils.FnArgs(**read)
    settings = settings_of(fn_args)
    try:
        model = train(fn_args, settings, workers=workers)
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.InternalError,
        tf.errors.DeadlineExceededError,
    ) as error:
        raise PeersLost(
            f"worker {workers.index} lost the others: {str(error).splitlines()[0]}. Expected all "
            f"{workers.count} to stay until the end. Start them again: training goes on from "
            "the last checkpoint"
        ) from error
    own.cleanup()
    if not workers.index:
        export(fn_args, settings, model)


def _is_open(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _watched(command: list[str], patience: float) -> tuple[int, str]:
    """Runs the chief's training, passes signals on to it and its progress to listeners.

    Args:
      command: what trains; the first that it says is that all workers are there.
      patience: seconds that it may wait for them.

    Returns:
      Its exit code, and the last that it said of itself.

    Raises:
      PipelineError: workers did not come.
    """
    # In a session of its own, or Ctrl-C would reach it twice, and the second ends it at once.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    last, sent = "", math.inf
    until = time.monotonic() + patience
    try:
        while True:
            for line in iter(process.stdout.readline, ""):
                last = _heard(line.rstrip("\n"), last)
                if line.startswith(("NOTE", "TRAINING")):
                    until = math.inf
            code = process.poll()
            if code is not None:
                return code, last
            if interruption.asked() and sent == math.inf:
                process.send_signal(signal.SIGTERM)
                sent = time.monotonic()
            if time.monotonic() - sent > GRACE:  # it waits for workers that do not come
                raise interruption.Interrupted(f"killed {GRACE} s after a signal")
            if time.monotonic() > until:
                raise PipelineError(
                    f"expected all other workers of TF_CONFIG within {patience:g} s, and they did "
                    "not come. Start `seq2seq train-worker` on each, and the run again: training "
                    "goes on from the last checkpoint. Kubernetes starts no worker of a Job "
                    "again that has finished: delete the Job, and apply it anew"
                )
            time.sleep(0.1)
    finally:
        process.kill()


def _heard(line: str, last: str) -> str:
    """Passes on a line of the chief's training; returns the last that it said of itself."""
    kind, _, content = line.partition(" ")
    if kind == "TRAINING":
        progress.report(progress.TrainingProgress(**json.loads(content)))
    elif kind == "NOTE":
        progress.note(json.loads(content))
    elif kind == "END":
        last = json.loads(content)
    else:
        logging.info("chief: %s", line)
    return last


class Telling:
    """Tells the process that started this one how far the training is."""

    def training(self, told: progress.TrainingProgress) -> None:
        """A fit is so far."""
        self._say("TRAINING", told._asdict())

    def note(self, text: str) -> None:
        """Something happened that a person should know."""
        self._say("NOTE", text)

    def end(self, text: str) -> None:
        """How it ended, where it did not end well."""
        self._say("END", text)

    def _say(self, kind: str, content: Any) -> None:
        print(kind, json.dumps(content), flush=True)
