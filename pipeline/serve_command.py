"""Serves pushed versions of a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import uvloop

from ..serving.local_model import ModelError, newest_model
from ..serving.server.log import log_to_stderr
from ..serving.server.model_config import read_file
from ..serving.server.server import ServerSettings, serve
from ..serving.server.version_folder import SAVED_MODEL, versions_in
from ..serving.server.versions import Policy
from .served_try_page import ServedTryPage


def serve_model(
    model: Path | None,
    output: Path,
    log_text: bool,
    name: str,
    model_config: Path | None,
    **settings: Any,
) -> None:
    """Serves until it is told to stop.

    Args:
      model: a pushed version, or a folder of versions; None for the folder of the
        newest pushed version below `output`.
      output: where to look for pushed models.
      log_text: whether the text of requests may be in the log.
      name: under which the model answers.
      model_config: a file that says which versions are wanted.
      **settings: the others of `ServerSettings`.

    Raises:
      ModelError: there is no such model.
      ModelConfigError: the file cannot be used.
      CannotServe: no version can be served, or a port is taken.
    """
    base, policy = _versions_of(model or newest_model(output).parent)
    if model_config:
        policy = read_file(model_config, name, base)
    log_to_stderr(log_text)
    page = ServedTryPage(name)
    served = ServerSettings(base, name, policy, model_config, page=page, **settings)
    uvloop.run(serve(served))


def _versions_of(model: Path) -> tuple[Path, Policy]:
    model = model.absolute()
    if (model / SAVED_MODEL).is_file():
        if model.name not in map(str, versions_in(model.parent)):
            raise ModelError(f"expected a version, a folder named by a number, received {model}")
        return model.parent, Policy(only=frozenset([int(model.name)]))
    if not model.is_dir():
        raise ModelError(f"expected a pushed version or a folder of versions at {model}")
    return model, Policy()
