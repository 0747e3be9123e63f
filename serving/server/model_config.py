"""TensorFlow Serving's model configuration: which versions, and what they are called."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from .errors import RequestError, invalid
from .versions import Policy

PLATFORM = "tensorflow"  # upstream reads no configuration without it
OLD_PLATFORM = model_server_config_pb2.TENSORFLOW  # of `model_type`, which says the same


class ModelConfigError(Exception):
    """A file that holds no configuration for this server."""


def read_file(path: Path, name: str, base: Path) -> Policy:
    """Reads a `--model_config_file`, a `ModelServerConfig` as text.

    Args:
      path: of the file.
      name: of the model served.
      base: the folder of its versions.

    Raises:
      ModelConfigError: it cannot be read, or is for other models.
    """
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(path.read_text("utf-8"), config)
        return read_request(config, name, base, whole_path=False)
    except (OSError, UnicodeDecodeError, text_format.ParseError, RequestError) as error:
        raise ModelConfigError(f"{path}: {error}") from error


def read_request(
    config: model_server_config_pb2.ModelServerConfig,
    name: str,
    base: Path,
    whole_path: bool = True,
) -> Policy:
    """Reads what a client asks for.

    Args:
      config: of one model, this one.
      name: of the model served.
      base: the folder of its versions: no other is ever looked at.
      whole_path: whether the path given must be that one; a file may have been
        written for another machine.

    Raises:
      RequestError: INVALID_ARGUMENT where it is for another model or another folder.
    """
    models = config.model_config_list.config
    if config.WhichOneof("config") != "model_config_list" or len(models) != 1:
        raise invalid("expected a model_config_list of one model: this server has no more")
    model = models[0]
    if model.name != name:
        raise invalid(f"expected the model '{name}', received '{model.name[:100]}'")
    if model.model_platform != PLATFORM and model.model_type != OLD_PLATFORM:
        raise invalid(f"model_platform: expected '{PLATFORM}'")
    if not model.base_path or (whole_path and Path(model.base_path) != base):
        raise invalid("base_path: expected the folder that is served, received another or none")
    policy = model.model_version_policy
    labels = dict(model.version_labels)
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return Policy(latest=None, labels=labels)
    if choice == "specific":
        if not policy.specific.versions:
            raise invalid("model_version_policy.specific: expected a version, received none")
        return Policy(only=frozenset(policy.specific.versions), labels=labels)
    return Policy(latest=max(policy.latest.num_versions, 1), labels=labels)
