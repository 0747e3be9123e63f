"""Binds the one pipeline to a runner, and keeps runs of one output apart."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from absl import logging as absl_logging
from apache_beam.options.pipeline_options import StandardOptions
from rich.console import Console
from tfx.dsl.compiler import constants
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.portable import runtime_parameter_utils

from ..components import interruption
from ..components.errors import PipelineError, reason_of
from ..components.progress import listening
from .beam_args import BEAM_RUNNER
from .beam_operator import beam_arguments
from .config import PipelineConfig
from .display import ComponentWatcher, LiveDisplay, PlainDisplay
from .graph import create_pipeline
from .run_folder import LOG, exclusive
from .run_records import run_named
from .summary import RunSummary, summarize

RUNNERS = {"local": LocalDagRunner, "beam": BeamDagRunner}


class RunStopped(Exception):
    """A signal stopped the run; the message says where.

    Args:
      number: of the signal.
    """

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.number = number


class RunFailed(Exception):
    """A component failed; the message says which and why."""


def run_pipeline(
    config: PipelineConfig, output: Path, runner: str = "local", console: Console | None = None
) -> RunSummary:
    """Runs a job to its end.

    Args:
      config: the job.
      output: the folder of all that it makes.
      runner: one of `RUNNERS`.
      console: where to show progress; standard output if None.

    Raises:
      OutputBusy: another process runs on the same output.
      RunFailed: a component failed.
      RunStopped: SIGTERM or SIGINT; a training has put its state away.
    """
    output = output.absolute()
    with _alone(output) as terminal:
        _execute(config, output, RUNNERS[runner](), console or Console(file=terminal))
        return summarize(output)


def run_component(config: PipelineConfig, output: Path, component: str, run_id: str) -> set[str]:
    """Runs one component of a run whose earlier components have run.

    Args:
      config: the job.
      output: the folder of all that it makes.
      component: its name.
      run_id: the run's; the first of its components begins the run.

    Returns:
      The components that the run still lacks.

    Raises:
      As `run_pipeline`.
    """
    output = output.absolute()
    with _alone(output) as terminal:
        runner = OneComponent(component, run_id)
        _execute(config, output, runner, Console(file=terminal))
        begun = run_named(output, run_id)
        states = begun.components if begun else {}
        return {name for name in runner.names if states.get(name) not in ("done", "cached")}


class OneComponent(LocalDagRunner):
    """Launches one component as part of a run that several processes make.

    Args:
      component: its name.
      run_id: the run's.
    """

    def __init__(self, component: str, run_id: str):
        super().__init__()
        self._component, self._run_id = component, run_id
        self.names: list[str] = []  # of the pipeline's components, once it ran

    def run_with_ir(self, pipeline: Any, run_options: Any = None) -> None:
        self.names = [node.pipeline_node.node_info.id for node in pipeline.nodes]
        if self._component not in self.names:
            expected = ", ".join(self.names)
            raise PipelineError(f"expected one of {expected}, received '{self._component}'")
        given = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self._run_id}
        runtime_parameter_utils.substitute_runtime_parameter(pipeline, given)
        for node in pipeline.nodes:
            if node.pipeline_node.node_info.id != self._component:
                node.pipeline_node.execution_options.skip.SetInParent()
        super().run_with_ir(pipeline, run_options)


@contextmanager
def _alone(output: Path) -> Iterator[IO[str]]:
    """Holds an output folder, and gives the terminal past the log."""
    output.mkdir(parents=True, exist_ok=True)
    with exclusive(output), _quiet(output / LOG) as terminal:
        yield terminal


def _execute(config: PipelineConfig, output: Path, runner: Any, console: Console) -> None:
    """Runs what a runner runs of the pipeline, with errors that say where."""
    pipeline = create_pipeline(config, output)
    arguments = config.runner.beam.arguments()
    display = (
        LiveDisplay(console, len(pipeline.components))
        if console.is_terminal
        else PlainDisplay(console)
    )
    watcher = ComponentWatcher(display)
    logging.getLogger().addHandler(watcher)
    with interruption.stoppable():
        try:
            with listening(display), _beam_left_alone(), beam_arguments(arguments):
                runner.run(pipeline)
        except (Exception, interruption.Interrupted) as error:
            if number := interruption.asked():
                logging.warning("the run was stopped: %s", error)
                raise RunStopped(_interrupted(error, number), number) from error
            logging.exception("the run failed")
            where = f"{watcher.current}: " if watcher.current else ""
            raise RunFailed(f"{where}{reason_of(error)}") from error
        finally:
            logging.getLogger().removeHandler(watcher)
            display.close()


@contextmanager
def _quiet(log: Path) -> Iterator[IO[str]]:
    """Sends all that libraries say, in Python or below it, to the log.

    Yields:
      The standard output as it was, for what is meant for people.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    root = logging.getLogger()
    handlers, level, verbosity = root.handlers[:], root.level, absl_logging.get_verbosity()
    with log.open("a", encoding="utf-8") as file, os.fdopen(os.dup(1), "w") as terminal:
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
        root.handlers, root.level = [handler], logging.INFO
        absl_logging.set_verbosity(absl_logging.INFO)
        logging.captureWarnings(True)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                yield terminal
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:  # the log may be on a full disk
                for fd, original in enumerate(saved, start=1):
                    os.dup2(original, fd)
                    os.close(original)
                logging.captureWarnings(False)
                root.handlers, root.level = handlers, level
                absl_logging.set_verbosity(verbosity)


@contextmanager
def _beam_left_alone() -> Iterator[None]:
    """Keeps Beam from our command line, and BeamDagRunner's own pipeline in process.

    A `beam.Pipeline()` without options parses `sys.argv` and takes the default
    runner, which newer releases replace by a server they have to download.
    """
    arguments, default = sys.argv, StandardOptions.DEFAULT_RUNNER
    sys.argv, StandardOptions.DEFAULT_RUNNER = sys.argv[:1], BEAM_RUNNER
    try:
        yield
    finally:
        sys.argv, StandardOptions.DEFAULT_RUNNER = arguments, default


def _interrupted(error: BaseException, number: int) -> str:
    """What `Interrupted` said, through whatever Beam has made of it."""
    found = re.search(r"SIG\w+ at step .*", str(error))
    return found[0] if found else f"{signal.Signals(number).name}"
