"""The dashboard as an aiohttp application: addresses to pages, none of which has a script."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ..html_document import HEADERS, html_document
from .compare_page import compare_page
from .records import Run, Store
from .runs_page import data_report, run_page, runs_page
from .sentences import CannotRead
from .sentences_page import sentence_page, sentences_page
from .source import NotThere, Source
from .trying import try_page

LOG = logging.getLogger(__name__)
THREADS = 4
FORM_BYTES = 1 << 20
LONGEST_NAME = 1000  # characters of a slice
_RUN = r"/runs/{store}/{run:\d{1,12}}"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Application:
    """Answers requests from a source.

    Args:
      source: of everything.
      host: what it listens on; on loopback other names for it are refused, or a foreign
        page could read what is here through a name of its own.
    """

    def __init__(self, source: Source, host: str):
        self._source = source
        self._loopback = _is_loopback(host)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="page")
        # One question at a time, and however many wait, pages are made.
        self._models = ThreadPoolExecutor(1, thread_name_prefix="model")

    def application(self) -> web.Application:
        """The application that aiohttp serves."""
        application = web.Application(client_max_size=FORM_BYTES, middlewares=[self._guard])
        router = application.router
        router.add_get("/", self._runs)
        router.add_get("/compare", self._compare)
        router.add_get(_RUN, self._run)
        router.add_get(_RUN + "/data", self._data)
        router.add_get(_RUN + "/sentences", self._sentences)
        router.add_get(_RUN + "/sentences/{id:[0-9a-f]{1,64}}", self._sentence)
        router.add_get(_RUN + "/try", self._try)
        router.add_post(_RUN + "/try", self._try)
        application.on_startup.append(self._warm)
        application.on_cleanup.append(self._end)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if self._loopback and not _is_loopback(_host_of(request)):
                return _message(403, f"this dashboard answers on loopback, not as {request.host}")
            return await handler(request)
        except NotThere as error:
            return _message(404, str(error))
        except CannotRead as error:
            return _message(500, str(error))
        except web.HTTPException as error:
            told = _message(error.status, error.reason)
            if "Allow" in error.headers:
                told.headers["Allow"] = error.headers["Allow"]
            return told
        except Exception:
            LOG.exception("a page cannot be made")
            return _message(500, "the page cannot be made; the terminal of the dashboard has more")

    async def _page(
        self, make: Callable[..., str], *arguments: Any, asks: bool = False
    ) -> web.Response:
        """Makes a page in a thread, so that others are answered meanwhile.

        Args:
          make: the page, from the source.
          *arguments: of it.
          asks: whether it asks a model.
        """
        loop, pool = asyncio.get_running_loop(), self._models if asks else self._pool
        return _html(await loop.run_in_executor(pool, make, self._source, *arguments))

    async def _runs(self, request: web.Request) -> web.Response:
        page = _number(request.query.get("page", ""))
        followed = (request.query.get(key, "")[:LONGEST_NAME] for key in ("metric", "slice"))
        return await self._page(runs_page, page, *followed)

    async def _run(self, request: web.Request) -> web.Response:
        store, run = await self._asked(request)
        # Whoever looks at a run looks at its sentences next.
        asyncio.get_running_loop().run_in_executor(self._pool, self._look, store, run)
        return await self._page(run_page, store, run, request.query.get("metric", ""))

    async def _data(self, request: web.Request) -> web.Response:
        file = data_report(*await self._asked(request))
        if file is None:
            raise NotThere("this run has no report about its data, or it was removed")
        return _html(file.read_text("utf-8"))

    async def _sentences(self, request: web.Request) -> web.Response:
        return await self._page(sentences_page, *await self._asked(request), request.query)

    async def _sentence(self, request: web.Request) -> web.Response:
        asks = "ask" in request.query
        identity = request.match_info["id"]
        asked = await self._asked(request)
        return await self._page(sentence_page, *asked, identity, asks, asks=asks)

    async def _compare(self, request: web.Request) -> web.Response:
        sides = []
        for side in ("before", "after"):
            name, _, number = request.query.get(side, "").rpartition("/")
            if not number.isdecimal() or len(number) > 12:
                raise NotThere("expected two runs to compare: choose one of each column")
            sides.append(await self._found(name, int(number)))
        return await self._page(compare_page, *sides, request.query.get("metric", ""))

    async def _try(self, request: web.Request) -> web.Response:
        fields = None
        if request.method == "POST":
            try:
                sent = await request.post()
            except (ValueError, LookupError) as error:  # no such charset, no boundary
                return _message(400, f"expected the fields of a form: {error}")
            fields = {key: value for key, value in sent.items() if isinstance(value, str)}
        asked = await self._asked(request)
        return await self._page(try_page, *asked, fields, asks=fields is not None)

    async def _asked(self, request: web.Request) -> tuple[Store, Run]:
        return await self._found(request.match_info["store"], int(request.match_info["run"]))

    async def _found(self, store: str, run: int) -> tuple[Store, Run]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._source.run, store, run)

    async def _warm(self, _: web.Application) -> None:
        """Imports and reads ahead what the first pages need."""
        asyncio.get_running_loop().run_in_executor(self._pool, self._look)

    def _look(self, store: Store | None = None, run: Run | None = None) -> None:
        source = self._source
        try:
            if store is None:
                evaluated = [
                    (run, store)
                    for store in source.stores()[0]
                    for run in store.runs
                    if source.has_sentences(store, run)
                ]
                if not evaluated:
                    return
                run, store = max(evaluated, key=lambda pair: pair[0].started)
                before = store.before(run)
                if before and source.has_sentences(store, before):
                    compare_page(source, (store, before), (store, run), "")
            assert run is not None
            if source.has_sentences(store, run):
                sentences_page(source, store, run, {})
        except (OSError, CannotRead, NotThere):
            LOG.debug("nothing read ahead", exc_info=True)  # the page itself will tell

    async def _end(self, _: web.Application) -> None:
        for pool in (self._pool, self._models):
            pool.shutdown(wait=False, cancel_futures=True)


def _html(text: str, status: int = 200) -> web.Response:
    # Whatever a store holds, a lone surrogate among it, the page is UTF-8.
    body = text.encode("utf-8", "replace")
    return web.Response(
        body=body, status=status, content_type="text/html", charset="utf-8", headers=HEADERS
    )


def _message(status: int, text: str) -> web.Response:
    return _html(html_document("dashboard/message.html", status=status, text=text), status)


def _number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1


def _host_of(request: web.Request) -> str:
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in ("localhost", "ip6-localhost")
