"""A page at `/` on which people try the model. Whoever starts the server brings its looks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from aiohttp import web
from grpc import StatusCode

from ...models import features
from ..decode_options import DEFAULT, FLOATS, INTEGERS, PREFIX
from ..local_model import Explanation, Hypothesis, explanation_of, hypotheses_of
from .errors import HTTP_STATUS, RequestError
from .limits import Limits
from .metrics import Metrics
from .prediction import answer
from .versions import Version, Versions


class TryPage(Protocol):
    """Reads the form and writes the page: `pipeline.served_try_page`."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What its answer comes with."""

    def read(self, fields: Mapping[str, str]) -> tuple[str, dict[str, float | str]]:
        """The source and the options that a form asks with; a ValueError says what is wrong."""

    def write(
        self,
        fields: Mapping[str, str],
        version: int | None,
        hypotheses: Sequence[Hypothesis] | None,
        explanation: Explanation | None,
        error: str = "",
    ) -> str:
        """The page; None for what was not asked."""


class TryService:
    """Answers a form with the newest version, as a request by REST would be.

    Args:
      page: how it looks.
      versions: of the model.
      limits: of one request.
      metrics: where rows are counted.
    """

    def __init__(self, page: TryPage, versions: Versions, limits: Limits, metrics: Metrics):
        self._page = page
        self._versions = versions
        self._limits = limits
        self._metrics = metrics

    async def show(self, request: web.Request) -> web.Response:
        """The empty form."""
        return self._html(self._page.write({}, None, None, None))

    async def answer(self, request: web.Request) -> web.Response:
        """The form with its answers."""
        fields: dict[str, str] = {}
        try:
            sent = await asyncio.wait_for(request.post(), self._limits.body_seconds)
            fields = {name: value for name, value in sent.items() if isinstance(value, str)}
            text, options = self._page.read(fields)
            with self._versions.using(None, "") as version:
                found, explanation = await self._ask(version, text, options)
                number = version.number
        except RequestError as error:
            return self._refused(fields, HTTP_STATUS[error.code], error.message)
        except web.HTTPRequestEntityTooLarge:
            return self._refused({}, 413, "the form is too large")
        except asyncio.TimeoutError:
            return self._refused({}, 408, "the form did not arrive in time")
        except ValueError as error:
            return self._refused(fields, 400, str(error))
        # Fonts and shaping take a while: not in the thread that serves others.
        loop = asyncio.get_running_loop()
        page = await loop.run_in_executor(
            None, self._page.write, fields, number, found, explanation
        )
        return self._html(page)

    def _html(self, text: str, status: int = 200) -> web.Response:
        return web.Response(
            body=text.encode("utf-8", "replace"),
            status=status,
            content_type="text/html",
            charset="utf-8",
            headers=self._page.headers,
        )

    def _refused(self, fields: Mapping[str, str], status: int, told: str) -> web.Response:
        return self._html(self._page.write(fields, None, None, None, told), status)

    async def _ask(
        self, version: Version, text: str, options: Mapping[str, float | str]
    ) -> tuple[list[Hypothesis], Explanation | None]:
        """The hypotheses, and what is explained of them where the model can."""
        assert version.servable is not None
        known = version.servable.signatures
        source = {features.TEXT: np.array([text.encode()], object)}
        explanation = None
        if features.EXPLAIN_SIGNATURE in known:
            outputs = await self._run(version, features.EXPLAIN_SIGNATURE, source)
            row = {name: values[0] for name, values in outputs.items()}
            explanation = explanation_of(row, len(row[features.SCORE]))
        if options:
            if features.DECODE_SIGNATURE not in known:
                raise RequestError(
                    StatusCode.INVALID_ARGUMENT, "this model was exported without options of search"
                )
            prefix = str(options.get(PREFIX, "")).encode()
            source |= {PREFIX: np.array([prefix], object)}
            for names, kind in ((INTEGERS, np.int32), (FLOATS, np.float32)):
                source |= {n: np.array([options.get(n, DEFAULT)]).astype(kind) for n in names}
            outputs = await self._run(version, features.DECODE_SIGNATURE, source)
        elif explanation:
            found = [Hypothesis(h.text, h.score, h.log_prob) for h in explanation.hypotheses]
            return found, explanation
        else:
            outputs = await self._run(version, features.NBEST_SIGNATURE, source)
        most = outputs[features.TEXT].reshape(1, -1).shape[1]
        return hypotheses_of(outputs, 1, most)[0], explanation

    async def _run(
        self, version: Version, signature: str, inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        return await answer(version, signature, inputs, self._limits, self._metrics)
