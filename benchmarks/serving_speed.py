r"""What the local server costs: one sentence at a time, and at saturation.

    .venv/bin/seq2seq data cmudict && .venv/bin/seq2seq run      # makes output/g2p
    .venv/bin/python benchmarks/serving_speed.py \\
        --model output/g2p/serving/seq2seq/VERSION --sources data/cmudict/pairs.tsv

The same SavedModel, loaded into a session of TensorFlow's own options, is asked in this
process, in turns with the server, so that both see the same machine. One sentence: the
median of the differences, source by source. Saturation: sources answered a second,
offline in batches of 32, and by the server with so many single requests, or requests of
32, under way together; the client's work is on the same machine, and counted to the
server. Writes benchmarks/results/serving_speed.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from local_server import local_server

from seq2seq_tfx.models import features
from seq2seq_tfx.serving.client import Client
from seq2seq_tfx.serving.client.load import SECONDS
from seq2seq_tfx.serving.client.transports import connected
from seq2seq_tfx.serving.server.servable import Servable

BATCH = 32
TOGETHER = 128  # requests of one source that are under way


def overhead(servable: Servable, server: str, sources: Sequence[str]) -> dict[str, float]:
    """Milliseconds of one sentence, in this process and from the server."""
    with Client(server) as client:

        def local(source: str) -> None:
            _answer(servable, [source])

        def served(source: str) -> None:
            client.predict([source])

        for source in sources[:30]:
            local(source), served(source)
        times = [(_ms(local, source), _ms(served, source)) for source in sources]
    added = [after - before for before, after in times]
    return {
        "model_median_ms": statistics.median(before for before, _ in times),
        "server_median_ms": statistics.median(after for _, after in times),
        "added_median_ms": statistics.median(added),
        "added_p10_ms": float(np.percentile(added, 10)),
    }


def as_tensorflow_would(model: Path) -> Servable:
    """The model in this process, with TensorFlow's own threads and not the server's choice."""
    servable = Servable(1, model, tf.compat.v1.ConfigProto())
    servable.warm_up()
    return servable


def offline(servable: Servable, sources: Sequence[str]) -> float:
    """Sources a second in this process."""
    start = time.perf_counter()
    for first in range(0, len(sources), BATCH):
        _answer(servable, sources[first : first + BATCH])
    return len(sources) / (time.perf_counter() - start)


async def saturated(server: str, sources: Sequence[str], rows: int) -> float:
    """Sources a second from a server that always has requests waiting."""
    async with connected(server, "seq2seq") as transport:
        requests = iter(
            [
                transport.request(features.SERVING_SIGNATURE, sources[first : first + rows])
                for first in range(0, len(sources), rows)
            ]
        )

        async def one() -> None:
            for request in requests:
                await transport.send(request, SECONDS)

        await transport.ask(features.SERVING_SIGNATURE, sources[:1], SECONDS)
        start = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(max(TOGETHER // rows, 4))))
        return len(sources) / (time.perf_counter() - start)


def _answer(servable: Servable, sources: Sequence[str]) -> Any:
    text = np.array([source.encode() for source in sources], object)
    return servable.run(features.SERVING_SIGNATURE, {features.TEXT: text})


def _ms(ask: Callable[[str], None], source: str) -> float:
    start = time.perf_counter()
    ask(source)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a pushed version")
    parser.add_argument("--sources", type=Path, required=True, help="pairs, or a source a line")
    parser.add_argument("--count", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    lines = arguments.sources.read_text("utf-8").splitlines()
    distinct = sorted({line.split("\t")[0] for line in lines})
    sources = random.Random(1).sample(distinct, min(arguments.count, len(distinct)))
    servable = as_tensorflow_would(arguments.model)
    result: dict[str, Any] = {"load_average": os.getloadavg()[0], "cores": os.cpu_count()}
    with local_server(arguments.model) as server:
        for way, address in (("gRPC", server.grpc), ("REST", server.rest)):
            result[way] = {"one sentence": overhead(servable, address, sources[:300])}
            for rows in (1, BATCH):
                rates = [
                    (offline(servable, sources), asyncio.run(saturated(address, sources, rows)))
                    for _ in range(arguments.rounds)
                ]
                result[way][f"requests of {rows}"] = {
                    "offline_per_s": statistics.median(rate for rate, _ in rates),
                    "server_per_s": statistics.median(rate for _, rate in rates),
                    "ratio": statistics.median(after / before for before, after in rates),
                }
            print(way, json.dumps(result[way], indent=1), flush=True)
    path = Path(__file__).parent / "results" / "serving_speed.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
