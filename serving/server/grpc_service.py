"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
)

from . import model_config
from .errors import RequestError, code_of, invalid
from .limits import Limits
from .metrics import Metrics
from .prediction import answer, signature_of
from .tensor_protos import read_inputs, write_output
from .versions import Version, Versions

LOG = logging.getLogger(__name__)
SIGNATURES = "signature_def"  # the one metadata field that upstream knows
MOST_BYTES = 1000  # of a message: it travels in a header, and not as ASCII in three times as many

Call = Callable[[Any, float | None], Awaitable[Message]]


class GrpcService:
    """Answers what TensorFlow Serving answers for one model.

    Args:
      versions: of the model.
      limits: of one request.
      metrics: where requests are counted.
    """

    def __init__(self, versions: Versions, limits: Limits, metrics: Metrics):
        self._versions = versions
        self._limits = limits
        self._metrics = metrics

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the methods of both services."""
        services: dict[str, dict[str, tuple[type[Message], Call]]] = {
            "PredictionService": {
                "Predict": (predict_pb2.PredictRequest, self._predict),
                "GetModelMetadata": (
                    get_model_metadata_pb2.GetModelMetadataRequest,
                    self._metadata,
                ),
            },
            "ModelService": {
                "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, self._status),
                "HandleReloadConfigRequest": (
                    model_management_pb2.ReloadConfigRequest,
                    self._reload,
                ),
            },
        }
        for service, methods in services.items():
            handlers = {name: self._handler(name, *method) for name, method in methods.items()}
            generic = grpc.method_handlers_generic_handler(
                f"tensorflow.serving.{service}", handlers
            )
            server.add_generic_rpc_handlers((generic,))

    def _handler(self, name: str, request_class: type[Message], call: Call) -> Any:
        """Reads a request from bytes, so that a malformed one is told as the client's fault."""

        async def handle(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
            start, code = time.perf_counter(), StatusCode.INTERNAL
            try:
                reply = await call(self._read(message, request_class), context.time_remaining())
                code = StatusCode.OK
                return reply.SerializeToString()
            except RequestError as error:
                code = error.code
                context.set_code(code)
                context.set_details(error.message.encode()[:MOST_BYTES].decode(errors="ignore"))
                return b""
            except asyncio.CancelledError:  # whoever asked has gone
                code = StatusCode.CANCELLED
                raise
            except Exception:
                LOG.exception("internal error", extra={"api": "grpc", "method": name})
                await context.abort(code, "internal error; the server's log has more")
            finally:
                self._metrics.observe("grpc", name, code, time.perf_counter() - start)
            raise AssertionError("abort raises")

        return grpc.unary_unary_rpc_method_handler(handle)

    def _read(self, message: bytes, request_class: type[Message]) -> Message:
        self._limits.check_bytes(len(message))
        try:
            return request_class.FromString(message)
        except DecodeError:
            raise invalid(
                f"expected a {request_class.__name__}, received no such message"
            ) from None

    async def _predict(self, request: predict_pb2.PredictRequest, seconds: float | None) -> Message:
        with self._using(request.model_spec) as version:
            name, signature = signature_of(
                version, request.model_spec.signature_name, StatusCode.FAILED_PRECONDITION
            )
            wanted = list(request.output_filter) or list(signature.outputs)
            if len(set(wanted)) < len(wanted) or not set(wanted) <= set(signature.outputs):
                raise invalid(
                    f"output_filter: expected some of {sorted(signature.outputs)}, each once"
                )
            inputs = read_inputs(request.inputs, signature, self._limits)
            outputs = await answer(version, name, inputs, self._limits, self._metrics, seconds)
            response = predict_pb2.PredictResponse(
                model_spec=_spec(self._versions.name, version, name)
            )
        for output in wanted:
            write_output(outputs[output], response.outputs[output])
        return response

    async def _metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, _: float | None
    ) -> Message:
        fields = list(request.metadata_field)
        if not fields or set(fields) != {SIGNATURES}:
            raise invalid(f"metadata_field: expected '{SIGNATURES}', received {fields}")
        with self._using(request.model_spec) as version:
            assert version.servable is not None
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in version.servable.signature_defs.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse(
                model_spec=_spec(self._versions.name, version)
            )
        response.metadata[SIGNATURES].Pack(signatures)
        return response

    async def _status(
        self, request: get_model_status_pb2.GetModelStatusRequest, _: float | None
    ) -> Message:
        number = self._asked(request.model_spec)[0]  # of a label upstream tells all versions
        found = self._versions.known(number)
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in found:
            status = response.model_version_status.add(
                version=version.number, state=version.state.value
            )
            status.status.error_code = code_of(2 if version.error else 0).value[0]
            status.status.error_message = version.error
        return response

    async def _reload(
        self, request: model_management_pb2.ReloadConfigRequest, _: float | None
    ) -> Message:
        policy = model_config.read_request(request.config, self._versions.name, self._versions.base)
        await self._versions.reload(policy)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()  # there, and OK
        return response

    def _using(self, spec: model_pb2.ModelSpec) -> Any:
        return self._versions.using(*self._asked(spec))

    def _asked(self, spec: model_pb2.ModelSpec) -> tuple[int | None, str | None]:
        """Version and label that a request names, of this model."""
        if not spec.name:
            raise invalid("expected the name of a model in model_spec, received none")
        choice = spec.WhichOneof("version_choice")
        number = spec.version.value if choice == "version" else None
        if spec.name != self._versions.name:
            which = "Latest" if number is None else f"Specific({number})"
            raise RequestError(
                StatusCode.NOT_FOUND, f"Servable not found for request: {which}({spec.name[:100]})"
            )
        return number, spec.version_label if choice == "version_label" else None


def _spec(name: str, version: Version, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = version.number
    return spec
