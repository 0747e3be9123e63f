"""Waits until servers have done what a model configuration says."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .promotion import PromotionError

POLL_SECONDS = 0.5
CALL_SECONDS = 5.0


def wait_until_followed(
    servers: Sequence[str],
    name: str,
    labels: Mapping[str, int],
    versions: Collection[int],
    seconds: float,
) -> None:
    """Asks servers until each has these versions and no other, and labels answer with theirs.

    What is still being unloaded counts as another: TensorFlow Serving calls a version
    available that it is about to unload, and labels must not move to such a one.

    Args:
      servers: HOST:PORT of gRPC, TensorFlow Serving's or the local server's.
      name: the model's.
      labels: as the configuration has them.
      versions: that it names.
      seconds: for all of them.

    Raises:
      PromotionError: one refused a version, or is not as told in time.
    """
    deadline = time.monotonic() + seconds
    for server in servers:
        while differs := _difference(server, name, labels, versions):
            if time.monotonic() > deadline:
                raise PromotionError(f"{server}: within {seconds:g} s {differs}")
            time.sleep(POLL_SECONDS)


def _difference(
    server: str, name: str, labels: Mapping[str, int], versions: Collection[int]
) -> str:
    """What is other than told; nothing where all is so.

    Raises:
      PromotionError: the server refused a version.
    """
    import grpc

    try:
        with grpc.insecure_channel(server) as channel:
            states = _states(channel, server, name, versions)
            expected = dict.fromkeys(sorted(versions), "AVAILABLE")
            if states != expected:
                return (
                    f"expected the versions {_listed(expected)} of '{name}', "
                    f"received {_listed(states)}"
                )
            for label, version in labels.items():
                if (found := _labelled(channel, name, label)) != version:
                    return f"expected '{label}' at version {version} of '{name}', received {found}"
    except grpc.RpcError as error:  # it has not read the file yet, or does not run
        return (
            f"expected a server that has '{name}', received {error.code().name}: {error.details()}"
        )
    return ""


def _states(channel: Any, server: str, name: str, versions: Collection[int]) -> dict[int, str]:
    """The state of each version that a server has or is about to have."""
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    reply = stub.GetModelStatus(request, timeout=CALL_SECONDS)
    states = {}
    for status in reply.model_version_status:
        if status.version in versions and status.status.error_code:
            raise PromotionError(
                f"{server} refused version {status.version} of '{name}': "
                f"{status.status.error_message}"
            )
        states[status.version] = get_model_status_pb2.ModelVersionStatus.State.Name(status.state)
    return {version: state for version, state in sorted(states.items()) if state != "END"}


def _labelled(channel: Any, name: str, label: str) -> int:
    """The version that answers for a label: the state of versions tells of none."""
    from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name, request.model_spec.version_label = name, label
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    reply = stub.GetModelMetadata(request, timeout=CALL_SECONDS)
    return int(reply.model_spec.version.value)


def _listed(states: Mapping[int, str]) -> str:
    return ", ".join(f"{version} ({state})" for version, state in states.items()) or "none"
