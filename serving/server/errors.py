"""What a request can be refused with, as gRPC and as HTTP have it."""

from __future__ import annotations

from grpc import StatusCode

# TensorFlow Serving's own table (model_servers/http_server.cc).
HTTP_STATUS = {
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
_BY_NUMBER = {code.value[0]: code for code in StatusCode}


class RequestError(Exception):
    """A request that is not answered.

    Args:
      code: the canonical code, shared by gRPC, TensorFlow and the REST interface.
      message: what was expected, and what came.
    """

    def __init__(self, code: StatusCode, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> RequestError:
    """What the client must change before it asks again."""
    return RequestError(StatusCode.INVALID_ARGUMENT, message)


def code_of(number: int) -> StatusCode:
    """The canonical code of a number, as TensorFlow's errors carry it."""
    return _BY_NUMBER.get(number, StatusCode.UNKNOWN)
