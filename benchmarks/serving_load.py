r"""A server under load: what it adds, what it reaches, how it refuses and recovers.

    .venv/bin/seq2seq data cmudict && .venv/bin/seq2seq run      # makes output/g2p
    .venv/bin/python benchmarks/serving_load.py                  # under 10 minutes
    .venv/bin/python benchmarks/serving_load.py --soak 100000    # memory, 5 to 15 minutes
    .venv/bin/python benchmarks/serving_load.py --tensorflow-serving BINARY --to RESULT

The local server, or TensorFlow Serving as `seq2seq deployment` starts it.

Without `--soak`: what the server adds to one sentence, source by source beside the same
SavedModel in this process, in turns, by the plainest clients there are (upstream's blocking stub,
Python's own HTTP), so that little of a client is counted, for sentences that come one right
after another and for those that come `PAUSE` after the last answer; saturation as
`serving_speed.py` has it; by gRPC latencies at shares of the saturating rate up to twice it, and
by both interfaces how long after that a server answers at half the rate as it did before.
Writes benchmarks/results/serving.json and docs/pictures/serving_load.svg, or by the name of
`--to`. With it: so many requests of one source, `TOGETHER` under way, and the server's memory
after every tenth of them; joins the same file.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import tensorflow as tf
from local_server import Address, local_server
from model_server import ModelServer
from serving_speed import BATCH, TOGETHER, as_tensorflow_would, offline, saturated
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from seq2seq_tfx.models import features
from seq2seq_tfx.report.load_curve import Point, load_curve
from seq2seq_tfx.report.svg import to_svg
from seq2seq_tfx.serving.client import AsyncClient, load
from seq2seq_tfx.serving.client.transports import connected
from seq2seq_tfx.serving.local_model import newest_model
from seq2seq_tfx.serving.server.servable import Servable

HERE = Path(__file__).parent
RESULT = HERE / "results" / "serving.json"
PICTURES = HERE.parent / "docs" / "pictures"
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0)  # of the saturating rate
TURN, REST = 25, 0.2  # sources, and seconds before them
PAUSE = 0.02  # seconds before a sentence that comes by itself
RECOVERED = 1.5  # times the median before counts as recovered
RECOVERY = 15.0  # seconds that are looked at


@contextmanager
def tensorflow_serving(binary: Path, model: Path) -> Iterator[Address]:
    """Serves a version by TensorFlow Serving as it is in production."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder, "seq2seq")
        base.mkdir()
        (base / model.name).symlink_to(model.resolve())
        with ModelServer.in_production(binary, base, Path(folder, "files")) as server:
            grpc_port, rest_port = server.ports
            place = "127.0.0.1"
            yield Address(f"{place}:{grpc_port}", f"http://{place}:{rest_port}", server.process.pid)


@contextmanager
def plain_client(server: Address, way: str) -> Iterator[Callable[[str], Any]]:
    """A blocking call for one source, with as little as can be around it."""
    if way == "gRPC":
        with grpc.insecure_channel(server.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

            def by_grpc(source: str) -> None:
                request = predict_pb2.PredictRequest()
                request.model_spec.name = "seq2seq"
                text = request.inputs[features.TEXT]
                text.dtype = tf.string.as_datatype_enum
                text.tensor_shape.dim.add(size=1)
                text.string_val.append(source.encode())
                stub.Predict(request, timeout=60)

            yield by_grpc
        return
    connection = http.client.HTTPConnection(server.rest.removeprefix("http://"), timeout=60)

    def by_rest(source: str) -> None:
        body = json.dumps({"instances": [source]})
        connection.request("POST", "/v1/models/seq2seq:predict", body)
        reply = connection.getresponse()
        if reply.status != 200:
            raise SystemExit(f"status {reply.status}: {reply.read()!r}")
        reply.read()

    yield by_rest
    connection.close()


def overhead(
    servable: Servable, ask: Callable[[str], Any], sources: Sequence[str], pause: float
) -> Any:
    """Milliseconds of one sentence, in this process and from the server, in turns.

    Each comes so many seconds after the last was answered. A turn is `TURN` sources, and a
    rest comes before it: TensorFlow's threads look for work for some time before they sleep,
    and would take the cores from the other process.
    """

    def here(source: str) -> None:
        text = np.array([source.encode()], object)
        servable.run(features.SERVING_SIGNATURE, {features.TEXT: text})

    for source in sources[:50]:
        here(source), ask(source)
    turns: list[list[list[float]]] = [[], []]
    for start in range(0, len(sources), TURN):
        some = sources[start : start + TURN]
        for way, found in zip((here, ask), turns, strict=True):
            time.sleep(REST)
            found.append([_ms(way, source, pause) for source in some])
    times = np.array([np.concatenate(way) for way in turns]).T
    added = times[:, 1] - times[:, 0]
    return {
        "model_median_ms": float(np.median(times[:, 0])),
        "server_median_ms": float(np.median(times[:, 1])),
        "added_median_ms": float(np.median(added)),
        "added_p10_ms": float(np.percentile(added, 10)),
    }


def _ms(ask: Callable[[str], Any], source: str, pause: float) -> float:
    time.sleep(pause)
    start = time.perf_counter()
    ask(source)
    return (time.perf_counter() - start) * 1e3


def speed(model: Path, server: Address, sources: Sequence[str]) -> dict[str, Any]:
    """One sentence and saturation, by both interfaces."""
    servable = as_tensorflow_would(model)
    found: dict[str, Any] = {}
    for way, address in (("gRPC", server.grpc), ("REST", server.rest)):
        with plain_client(server, way) as ask:
            found[way] = {
                "one sentence": overhead(servable, ask, sources[:500], 0),
                "one sentence by itself": overhead(servable, ask, sources[:500], PAUSE),
            }
        for rows in (1, BATCH):
            rounds = [
                (offline(servable, sources), *at_saturation(address, sources, rows))
                for _ in range(3)
            ]
            found[way][f"requests of {rows}"] = {
                "offline_per_s": statistics.median(before for before, _, _ in rounds),
                "server_per_s": statistics.median(after for _, after, _ in rounds),
                "ratio": statistics.median(after / before for before, after, _ in rounds),
                "client_cores": statistics.median(cores for _, _, cores in rounds),
            }
    servable.close()
    return found


def at_saturation(address: str, sources: Sequence[str], rows: int) -> tuple[float, float]:
    """Sources a second at saturation, and how many cores this process took of the server's."""
    began, used = time.perf_counter(), time.process_time()
    rate = asyncio.run(saturated(address, sources, rows))
    return rate, (time.process_time() - used) / (time.perf_counter() - began)


def curve(server: Address, sources: Sequence[str], saturating: float) -> list[load.Load]:
    """Latencies at shares of the saturating rate."""
    rates = [share * saturating for share in SHARES]
    return asyncio.run(load.load_curve(server.grpc, "seq2seq", sources, rates, 10.0))


async def recovery(address: str, sources: Sequence[str]) -> dict[str, Any]:
    """Loads at half the saturating rate, at it, at twice, and at half again, second by second."""
    saturating = await saturated(address, sources, 1)
    async with connected(address, "seq2seq") as transport:
        before = await load.open_loop(transport, sources, saturating / 2, 5.0, 1)
        at_it = await load.open_loop(transport, sources, saturating, 10.0, 1)
        twice = await load.open_loop(transport, sources, saturating * 2, 10.0, 2)
        # `open_loop` waits for its last answers, which is a part of the recovery.
        since = time.perf_counter() - (twice.seconds - 10.0)
        seconds = None
        while time.perf_counter() - since < RECOVERY:
            after = await load.open_loop(transport, sources, saturating / 2, 1.0, 3)
            if after.errors or after.latency_ms["p50"] > RECOVERED * before.latency_ms["p50"]:
                continue
            seconds = time.perf_counter() - since - 1.0
            break
    return {
        "before": before.as_json(),
        "the saturating rate": at_it.as_json(),
        "twice the rate": twice.as_json(),
        "seconds_until_as_before": seconds,
    }


async def soak(server: Address, sources: Sequence[str], requests: int) -> list[dict[str, float]]:
    """MiB of the server's memory and its descriptors, after each tenth of the requests."""
    told = [_resources(server.process, 0)]
    async with AsyncClient(server.grpc) as client:
        for tenth in range(10):
            generator = random.Random(tenth)
            batch = iter([[generator.choice(sources)] for _ in range(requests // 10)])

            async def one(batch: Any = batch) -> None:
                for source in batch:
                    await client.predict(source)

            await asyncio.gather(*(one() for _ in range(TOGETHER)))
            told.append(_resources(server.process, (tenth + 1) * (requests // 10)))
            print(told[-1], flush=True)
    return told


def _resources(process: int, requests: int) -> dict[str, float]:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return {
        "requests": requests,
        "MiB": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        "descriptors": len(list(Path(f"/proc/{process}/fd").iterdir())),
    }


def _draw(loads: list[load.Load], name: str) -> None:
    points = [
        Point(
            measured.rate,
            {name: value for name, value in measured.latency_ms.items() if name != "max"},
            1 - measured.answered / max(measured.sent, 1),
        )
        for measured in loads
    ]
    picture = to_svg(load_curve(points, "Latency under load"))
    (PICTURES / f"{name}_load.svg").write_text(picture, "utf-8")


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a pushed version (default: of output/g2p)")
    parser.add_argument("--sources", type=Path, default=Path("data/cmudict/pairs.tsv"))
    parser.add_argument("--count", type=int, default=4096, help="sources")
    parser.add_argument("--soak", type=int, default=0, help="requests, and nothing else")
    parser.add_argument("--tensorflow-serving", type=Path, help="its binary, instead of ours")
    parser.add_argument("--to", type=Path, default=RESULT)
    arguments = parser.parse_args()

    model = arguments.model or newest_model(Path("output", "g2p"))  # whose words are asked
    lines = arguments.sources.read_text("utf-8").splitlines()
    distinct = sorted({line.split("\t")[0] for line in lines})
    sources = random.Random(1).sample(distinct, min(arguments.count, len(distinct)))
    result = json.loads(arguments.to.read_text()) if arguments.to.is_file() else {}
    start = time.perf_counter()
    machine = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "model": "/".join(model.parts[-4:]),
        "sources": len(sources),
    }
    binary = arguments.tensorflow_serving
    with tensorflow_serving(binary, model) if binary else local_server(model) as server:
        if arguments.soak:
            memory = asyncio.run(soak(server, sources, arguments.soak))
            result["soak"] = part = {**machine, "memory": memory}
        else:
            found = speed(model, server, sources)
            # Asked again each time, for a machine is not as fast at all times.
            loads = curve(server, sources, asyncio.run(saturated(server.grpc, sources, 1)))
            result["load"] = part = {
                **machine,
                **found,
                "curve": [measured.as_json() for measured in loads],
                "overload": {
                    way: asyncio.run(recovery(address, sources))
                    for way, address in (("gRPC", server.grpc), ("REST", server.rest))
                },
            }
            _draw(loads, arguments.to.stem)
    part["took_s"] = round(time.perf_counter() - start, 1)
    arguments.to.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(part, indent=1))


if __name__ == "__main__":
    main()
