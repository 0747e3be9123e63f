"""The same over HTTP: TensorFlow Serving's REST interface, with health and metrics."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from grpc import StatusCode

from .errors import RequestError, invalid
from .http_bodies import read_content
from .http_outcome import counted
from .json_bodies import read_body, read_inputs, write_outputs
from .limits import Limits
from .metadata_json import metadata_json
from .metrics import Metrics
from .prediction import answer, signature_of
from .try_service import TryPage, TryService
from .versions import Version, Versions

METRICS = "/monitoring/prometheus/metrics"  # upstream's default
MOST_DIGITS = 19  # of an int64
LARGE = 10_000  # values of an answer that takes a thread of its own milliseconds to write
_WHICH = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
# Upstream's letters: any case of `/v1/models`, lower case of what is done.
_PATHS = {
    method: re.compile(_WHICH + end, re.IGNORECASE | re.ASCII)
    for method, end in {
        "POST": ":(?P<method>(?-i:classify|regress|predict))",
        "GET": "(?:/(?P<method>(?-i:metadata)))?",
    }.items()
}


class RestService:
    """Answers what TensorFlow Serving answers for one model.

    Args:
      versions: of the model.
      limits: of one request.
      metrics: where requests are counted.
      page: for people, at `/`; None for no page.
    """

    def __init__(
        self, versions: Versions, limits: Limits, metrics: Metrics, page: TryPage | None = None
    ):
        self._versions = versions
        self._limits = limits
        self._metrics = metrics
        self._try = TryService(page, versions, limits, metrics) if page else None
        self.is_stopping = False
        self._methods: dict[str, Callable[[web.Request, re.Match[str]], Awaitable[bytes]]] = {
            "predict": self._predict,
            "metadata": self._metadata,
            "status": self._status,
        }

    def application(self) -> web.Application:
        """The application that aiohttp serves."""
        application = web.Application(client_max_size=self._limits.request_bytes)
        application.on_response_prepare.append(_tell_of_the_end)
        application.router.add_get(METRICS, self._metrics_page)
        application.router.add_get("/healthz", self._healthy)
        application.router.add_get("/readyz", self._ready)
        application.router.add_route("*", "/v1/{tail:.*}", self._handle)
        if self._try:
            application.router.add_get("/", self._try.show)
            application.router.add_post("/", self._try.answer)
        return application

    async def _handle(self, request: web.Request) -> web.Response:
        with counted(self._metrics, "rest") as outcome:
            outcome.method, method, match = self._method(request)
            body = await method(request, match)
        if not outcome.is_answered:
            body = _error(outcome.message)
        return web.Response(body=body, status=outcome.status, content_type="application/json")

    def _method(self, request: web.Request) -> tuple[str, Any, re.Match[str]]:
        path = request.rel_url.raw_path_qs  # a query is no part of any, as upstream
        match = _PATHS[request.method].fullmatch(path) if request.method in _PATHS else None
        if match is None:
            raise invalid(f"Malformed request: {request.method} {path[:200]}")
        name = match["method"] or "status"
        if name not in self._methods:
            raise invalid(f"expected :predict, received :{name}; no signature here is for it")
        return name, self._methods[name], match

    async def _predict(self, request: web.Request, match: re.Match[str]) -> bytes:
        content = await read_content(request, self._limits)
        with self._using(match) as version:
            body = read_body(content)
            name, signature = signature_of(version, body.signature, StatusCode.INVALID_ARGUMENT)
            inputs = read_inputs(body, signature)
            outputs = await answer(version, name, inputs, self._limits, self._metrics)
        if sum(values.size for values in outputs.values()) < LARGE:
            return write_outputs(outputs, body.format)
        # It would keep all others waiting.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, write_outputs, outputs, body.format)

    async def _metadata(self, request: web.Request, match: re.Match[str]) -> bytes:
        with self._using(match) as version:
            assert version.servable is not None
            return metadata_json(
                self._versions.name, version.number, version.servable.signature_defs
            )

    async def _status(self, request: web.Request, match: re.Match[str]) -> bytes:
        number = self._asked(match)[0]  # of a label upstream tells all versions
        found = self._versions.known(number)
        return _json({"model_version_status": [_status(version) for version in found]})

    def _using(self, match: re.Match[str]) -> Any:
        return self._versions.using(*self._asked(match))

    def _asked(self, match: re.Match[str]) -> tuple[int | None, str | None]:
        """Version and label that a path names, of this model."""
        name, label = unquote(match["name"]), match["label"] and unquote(match["label"])
        digits = match["version"] or ""
        # Python reads no number of thousands of digits.
        if len(digits) > MOST_DIGITS or int(digits or 0) >= 2**63:
            raise invalid(f"expected a version of 64 bits, received {digits[:50]}")
        number = int(digits) if digits else None
        if name != self._versions.name:
            which = "Latest" if number is None else f"Specific({number})"
            raise RequestError(
                StatusCode.NOT_FOUND, f"Servable not found for request: {which}({name[:100]})"
            )
        return number, label

    async def _metrics_page(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        if self.is_stopping or not self._versions.available:
            return web.Response(text="no version answers\n", status=503)
        return web.Response(text="ready\n")


async def _tell_of_the_end(request: web.Request, response: web.StreamResponse) -> None:
    """Where the rest of a body is missing or unreadable, no other request follows it."""
    if not request.content.is_eof():
        response.force_close()
        response.headers["Connection"] = "close"


def _status(version: Version) -> dict[str, Any]:
    return {
        "version": str(version.number),
        "state": version.state.name,
        "status": {
            "error_code": "UNKNOWN" if version.error else "OK",
            "error_message": version.error,
        },
    }


def _error(message: str) -> bytes:
    return _json({"error": message})


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
