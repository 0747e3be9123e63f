"""Waits until servers that follow a model configuration have loaded a version."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .promotion import PromotionError

POLL_SECONDS = 0.5


def wait_until_loaded(servers: Sequence[str], name: str, version: int, seconds: float) -> None:
    """Asks servers for their state (ModelService) until each has a version loaded.

    Args:
      servers: HOST:PORT of gRPC, TensorFlow Serving's or the local server's.
      name: the model's.
      version: that they were told to load.
      seconds: for all of them.

    Raises:
      PromotionError: one refused the version, or did not load it in time.
    """
    deadline = time.monotonic() + seconds
    for server in servers:
        while (told := _state(server, name, version)) != "AVAILABLE":
            if time.monotonic() > deadline:
                raise PromotionError(
                    f"{server}: expected version {version} of '{name}' to be loaded within "
                    f"{seconds:g} s, received {told}"
                )
            time.sleep(POLL_SECONDS)


def _state(server: str, name: str, version: int) -> str:
    """The state of a version, or why there is none to tell.

    Raises:
      PromotionError: the server refused the version.
    """
    import grpc
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
    )

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    request.model_spec.version.value = version
    try:
        with grpc.insecure_channel(server) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            reply = stub.GetModelStatus(request, timeout=5.0)
    except grpc.RpcError as error:  # it has not read the file yet, or does not run
        return f"{error.code().name}: {error.details()}"
    (found,) = reply.model_version_status
    if found.status.error_code:
        raise PromotionError(
            f"{server} refused version {version} of '{name}': {found.status.error_message}"
        )
    return str(get_model_status_pb2.ModelVersionStatus.State.Name(found.state))
