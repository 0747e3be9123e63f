"""Starts the dashboard over output folders; nothing of TensorFlow is imported until it is asked."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from aiohttp import web

from ..report.dashboard.application import Application
from ..report.dashboard.library import Library
from ..report.dashboard.source import Outside, Source
from ..serving.local_model import LocalModel, ModelError
from .run_folder import METADATA, is_busy
from .run_store import read_store

if TYPE_CHECKING:
    from ..report.dashboard.source import Model

CONFIDENCE = 0.95
SEED = 1


class CannotShow(Exception):
    """There is nothing to show, or nowhere to show it."""


def serve_dashboard(outputs: Iterable[Path], host: str, port: int) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
      outputs: output folders, or folders of them.
      host: the address to listen on.
      port: 0 for any.

    Raises:
      CannotShow: no folder has runs, or the port is taken.
    """
    source = Source(find_stores(outputs), outside())
    asyncio.run(_serve(source, host, port))


def outside() -> Outside:
    """What other rooms do for the dashboard."""
    return Outside(
        read_store=read_store,
        database=lambda folder: folder / METADATA,
        is_busy=is_busy,
        library=load_library,
        load_model=_load_model,
        labels=_labels,
        model_errors=(ModelError,),
    )


def find_stores(outputs: Iterable[Path]) -> dict[str, Path]:
    """The output folders among folders and one level below them, by a name of their own.

    Args:
      outputs: where to look.

    Raises:
      CannotShow: there is none.
    """
    looked, found = [*outputs], []
    for folder in looked:
        below = sorted(folder.glob(f"*/{METADATA}"))
        places = [folder] if (folder / METADATA).is_file() else [path.parent for path in below]
        found += [place.resolve() for place in places if place.resolve() not in found]
    if not found:
        raise CannotShow(
            f"expected runs below {', '.join(map(str, looked))}, found no {METADATA}; "
            "`seq2seq run` makes one"
        )
    named: dict[str, Path] = {}
    for place in found:
        name = base = "".join(c if c.isalnum() else "-" for c in place.name) or "output"
        number = 2
        while name in named:
            name, number = f"{base}-{number}", number + 1
        named[name] = place
    return named


def load_library() -> Library:
    """Metrics and the bootstrap of the gate."""
    from ..components.bootstrap import interval, resample
    from ..components.metrics import MEASURES
    from ..components.vectorized import figures, sentence_figures

    def resample_pair(pair: list[np.ndarray], resamples: int) -> list[np.ndarray]:
        sums = resample(dict(enumerate(pair)), resamples, SEED)
        return [sums[0], sums[1]]

    return Library(
        loss=lambda metric, values: MEASURES[metric].loss(values),
        figures=figures,
        sentence_figures=sentence_figures,
        resample=resample_pair,
        interval=lambda values: interval(values, CONFIDENCE),
    )


def _load_model(folder: Path) -> Model:
    return LocalModel(folder)


def _labels(base: Path) -> dict[str, int]:
    from ..serving.promotion import PromotionError, read

    try:
        return read(base).labels
    except PromotionError:
        return {}


async def _serve(source: Source, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(Application(source, host).application(), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, reuse_port=False).start()
        except OSError as error:
            raise CannotShow(f"{host}:{port}: {error}; --host and --port name another") from error
        shown = f"[{host}]" if ":" in host else host
        for folder in source.folders.values():
            print(f"runs of {folder}")
        print(f"dashboard: http://{shown}:{runner.addresses[0][1]}/ (Ctrl-C ends it)", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
