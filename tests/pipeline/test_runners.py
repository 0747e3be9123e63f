"""The promises around a run: one at a time, quiet, followed, and its error understood."""

import inspect
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest
from tfx.orchestration.beam import beam_dag_runner
from tfx.orchestration.local import local_dag_runner
from tfx.orchestration.portable import launcher

from seq2seq_tfx.components.errors import PipelineError, reason_of
from seq2seq_tfx.pipeline import runners
from seq2seq_tfx.pipeline.display import ComponentWatcher
from seq2seq_tfx.pipeline.run_folder import LOCK, OutputBusy, exclusive
from seq2seq_tfx.pipeline.runner_config import RunnerConfig


def test_an_output_has_one_run_at_a_time(tmp_path):
    message = f"another run is using {tmp_path}: wait for it to end, or choose another --output"
    with exclusive(tmp_path):
        with pytest.raises(OutputBusy) as caught, exclusive(tmp_path):
            pytest.fail("two runs at once")
        assert str(caught.value) == message
        (tmp_path / "other").mkdir()
        with exclusive(tmp_path / "other"):
            pass
    with exclusive(tmp_path):
        pass


def test_an_output_is_free_again_when_its_run_failed(tmp_path):
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path):
        raise ZeroDivisionError
    with exclusive(tmp_path):
        pass


def test_an_output_is_free_again_when_its_run_was_killed(tmp_path):
    # The source itself, in a process that need not import TFX for it.
    code = (
        "import time, filelock\nfrom collections.abc import Iterator\n"
        "from contextlib import contextmanager\nfrom pathlib import Path\n"
        f"LOCK, PATIENCE = {LOCK!r}, 0.0\nclass OutputBusy(Exception): pass\n"
        f"{inspect.getsource(exclusive)}\n"
        f"with exclusive(Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    code = f"from __future__ import annotations\n{code}"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputBusy), exclusive(tmp_path):
            pytest.fail("two runs at once")
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    with exclusive(tmp_path):
        pass


def test_the_lock_is_one_the_kernel_drops():
    assert issubclass(filelock.FileLock, filelock.UnixFileLock)


class Recorder:
    def __init__(self):
        self.events = []

    def started(self, component):
        self.events.append(("started", component))

    def finished(self, component, seconds, cached):
        assert 0 <= seconds < 5
        self.events.append(("finished", component, "cached" if cached else "run"))


@pytest.fixture
def watched():
    """A recorder of what is made of messages logged to a logger like TFX's."""
    recorder, logger = Recorder(), logging.getLogger("test_runners")
    recorder.watcher = ComponentWatcher(recorder)
    recorder.log = logger.info
    logger.addHandler(recorder.watcher)
    logger.setLevel(logging.INFO)
    yield recorder
    logger.removeHandler(recorder.watcher)


FORMATS = {"Component %s is %s.": local_dag_runner, "node %s is %s.": beam_dag_runner}
CACHED = "A cached execution %d is used."


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_runners_log_becomes_started_and_finished(watched, form):
    watched.log(form, "Trainer", "running")
    assert watched.watcher.current == "Trainer"
    watched.log("Going to run a new execution %d.", 7)
    watched.log(form, "Trainer", "finished")
    assert watched.watcher.current is None
    watched.log(form, "latest_model.Baseline", "running")
    watched.log(form, "latest_model.Baseline", "finished")
    watched.log(form, "Evaluator", "running")
    watched.log(CACHED, 3)
    watched.log(form, "Evaluator", "finished")
    watched.log(form, "Pusher", "running")
    assert watched.events == [
        ("started", "Trainer"),
        ("finished", "Trainer", "run"),
        ("started", "latest_model.Baseline"),
        ("finished", "latest_model.Baseline", "run"),  # a resolver; it is never cached
        ("started", "Evaluator"),
        ("finished", "Evaluator", "cached"),
        ("started", "Pusher"),
    ]
    assert watched.watcher.current == "Pusher"  # where a failure happened


def test_other_messages_are_not_mistaken_for_a_runners(watched):
    for message in (
        "Component Trainer is running",
        "Component Trainer depends on [].",
        "My Component Trainer is running.",
        "node Trainer is running. Not.",
        "Components Trainer is finished.",
    ):
        watched.log(message)
    assert watched.events == []


@pytest.mark.parametrize("form", FORMATS)
def test_the_installed_runners_still_log_this(form):
    source = inspect.getsource(FORMATS[form])
    for event in ("running", "finished"):
        assert f"logging.info('{form % ('%s', event)}'" in source


def test_the_installed_launcher_still_logs_this_and_only_for_what_is_cached():
    source = inspect.getsource(launcher.Launcher)
    assert source.count(f"logging.info('{CACHED}', execution.id)") == 1
    assert 0 < source.index("cached_outputs is not None") < source.index(CACHED)


@contextmanager
def python_writing_to_descriptors(monkeypatch):
    """As outside of pytest, whose own streams go around descriptors 1 and 2."""
    with (
        open(1, "w", closefd=False) as out,
        open(2, "w", closefd=False) as err,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        yield


@pytest.mark.parametrize("fails", [False, True])
def test_all_output_goes_to_the_log_and_comes_back(tmp_path, capfd, monkeypatch, fails):
    log, root = tmp_path / "run.log", logging.getLogger()
    log.write_text("an earlier run\n")
    handlers, level = root.handlers[:], root.level
    descriptors = set(os.listdir("/proc/self/fd"))
    with python_writing_to_descriptors(monkeypatch):
        print("before")
        try:
            with runners._quiet(log) as terminal:
                print("python out")
                print("python err", file=sys.stderr)
                os.write(1, b"native out\n")
                os.write(2, b"native err\n")
                logging.getLogger("absl").info("logged %d", 7)
                warnings.warn("warned", stacklevel=1)
                subprocess.run(["echo", "child"], check=True)
                terminal.write("for people\n")
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert fails
        print("after")
        os.write(2, b"native after\n")
    out, err = capfd.readouterr()
    assert (out, err) == ("before\nfor people\nafter\n", "native after\n")
    told = log.read_text()
    assert told.startswith("an earlier run\n")
    for line in ("python out", "python err", "native out", "native err", "child"):
        assert f"{line}\n" in told
    assert re.search(r"(?m)^[-\d]+ [\d:,]+ I absl: logged 7$", told)
    assert "UserWarning: warned" in told
    assert (root.handlers, root.level) == (handlers, level)
    assert set(os.listdir("/proc/self/fd")) == descriptors


def test_output_comes_back_from_a_log_on_a_full_disk():
    code = (
        "import os; from pathlib import Path\n"
        "from seq2seq_tfx.pipeline import runners\n"
        "try:\n"
        "    with runners._quiet(Path('/dev/full')):\n"
        "        print('lost')\n"
        "except OSError:\n"
        "    os.write(1, b'back')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stdout.startswith(b"back")


def chained(*errors, context=False):
    """The last of some errors, each raised because of the one before."""
    for inner, outer in pairwise(errors):
        setattr(outer, "__context__" if context else "__cause__", inner)
    return errors[-1]


@pytest.mark.parametrize("context", [False, True])
def test_the_reason_is_the_message_meant_for_people_wherever_it_is(context):
    meant = PipelineError("data.input: give more [while running 'Read/ParDo(ReadPairs)']")
    errors = [OSError("disk"), meant, RuntimeError("beam"), ValueError("tfx")]
    for last in (2, 3, 4):
        assert reason_of(chained(*errors[:last], context=context)) == "data.input: give more"


def test_the_reason_of_any_other_error_is_its_type_and_message():
    assert reason_of(chained(OSError("disk"), ValueError("bad"))) == "ValueError: bad"

    class Unspeakable(Exception):
        def __str__(self):
            raise TypeError

    assert reason_of(Unspeakable()) == "Unspeakable"


def test_beam_sees_no_command_line_and_no_default_runner_while_it_runs(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["seq2seq", "run", "--runner", "beam"])
    default = runners.StandardOptions.DEFAULT_RUNNER

    def fail():
        assert sys.argv == ["seq2seq"]
        assert runners.StandardOptions.DEFAULT_RUNNER == runners.BEAM_RUNNER
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), runners._beam_left_alone():
        fail()
    assert sys.argv == ["seq2seq", "run", "--runner", "beam"]
    assert default == runners.StandardOptions.DEFAULT_RUNNER


def test_a_failed_component_is_named_with_its_reason(tmp_path, monkeypatch):
    class Runner:
        def run(self, pipeline):
            logging.info("Component PairExampleGen is running.")
            raise RuntimeError("wrapped") from PipelineError("no pair was kept")

    monkeypatch.setitem(runners.RUNNERS, "local", Runner)
    monkeypatch.setattr(
        runners, "create_pipeline", lambda config, output: type("P", (), {"components": []})
    )
    config = SimpleNamespace(runner=RunnerConfig())
    with pytest.raises(runners.RunFailed) as caught:
        runners.run_pipeline(config, tmp_path / "new" / "output")
    assert str(caught.value) == "PairExampleGen: no pair was kept"
    log = Path(tmp_path / "new/output/run.log").read_text()
    assert "RuntimeError: wrapped" in log and "Traceback" in log
