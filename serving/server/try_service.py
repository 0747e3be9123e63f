"""A page at `/` on which people try the model. Whoever starts the server brings its looks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from aiohttp import web

from ...models import features
from ..decode_options import DEFAULT, FLOATS, INTEGERS, PREFIX
from ..local_model import Explanation, Hypothesis, explanation_of, hypotheses_of
from .errors import invalid
from .http_bodies import read_form
from .http_outcome import Outcome, counted
from .limits import Limits
from .metrics import Metrics
from .prediction import answer
from .versions import Version, Versions

API = "page"  # under which its requests are counted


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
        found: Explanation | Sequence[Hypothesis] | None,
        error: str = "",
    ) -> str:
        """The page; None for what was not asked."""


class TryService:
    """Answers a form with the newest version, as a request by REST would be.

    Args:
      page: how it looks.
      versions: of the model.
      limits: of one request.
      metrics: where requests and rows are counted.
    """

    def __init__(self, page: TryPage, versions: Versions, limits: Limits, metrics: Metrics):
        self._page = page
        self._versions = versions
        self._limits = limits
        self._metrics = metrics

    async def show(self, request: web.Request) -> web.Response:
        """The empty form."""
        page = ""
        with counted(self._metrics, API) as outcome:
            outcome.method = "show"
            page = self._page.write({}, None, None)
        return self._html(page or outcome.message, outcome)

    async def answer(self, request: web.Request) -> web.Response:
        """The form with its answers."""
        fields: dict[str, str] = {}
        with counted(self._metrics, API) as outcome:
            outcome.method = "answer"
            fields = await read_form(request, self._limits)
            try:
                text, options = self._page.read(fields)
            except ValueError as error:
                raise invalid(str(error)) from None
            with self._versions.using() as version:
                found = await self._ask(version, text, options)
                number = version.number
            # Fonts and shaping take a while: not in the thread that serves others.
            loop = asyncio.get_running_loop()
            page = await loop.run_in_executor(None, self._page.write, fields, number, found)
        if not outcome.is_answered:
            page = self._page.write(fields, None, None, outcome.message)
        return self._html(page, outcome)

    def _html(self, text: str, outcome: Outcome) -> web.Response:
        return web.Response(
            body=text.encode("utf-8", "replace"),
            status=outcome.status,
            content_type="text/html",
            charset="utf-8",
            headers=self._page.headers,
        )

    async def _ask(
        self, version: Version, text: str, options: Mapping[str, float | str]
    ) -> Explanation | list[Hypothesis]:
        """The answers, explained where the model can."""
        assert version.servable is not None
        known = version.servable.signatures
        inputs = {features.TEXT: np.array([text.encode()], object)}
        if options:
            explained, plain = features.EXPLAIN_DECODE_SIGNATURE, features.DECODE_SIGNATURE
            prefix = str(options.get(PREFIX, "")).encode()
            inputs |= {PREFIX: np.array([prefix], object)}
            for names, kind in ((INTEGERS, np.int32), (FLOATS, np.float32)):
                inputs |= {n: np.array([options.get(n, DEFAULT)]).astype(kind) for n in names}
        else:
            explained, plain = features.EXPLAIN_SIGNATURE, features.NBEST_SIGNATURE
        signature = explained if explained in known else plain
        if signature not in known:
            raise invalid(f"expected a signature '{plain}' in this model, found {sorted(known)}")
        outputs = await answer(version, signature, inputs, self._limits, self._metrics)
        most = outputs[features.TEXT].shape[1]
        if signature == plain:
            return hypotheses_of(outputs, 1, most)[0]
        return explanation_of({name: values[0] for name, values in outputs.items()}, most)
