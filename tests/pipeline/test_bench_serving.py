"""The promises of `bench-serving`: figures of what was sent, and words where it cannot."""

import asyncio
import json
import threading
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from seq2seq_tfx.pipeline import cli


@pytest.fixture
def server():
    """Answers every other request, and refuses the rest."""
    loop, asked = asyncio.new_event_loop(), []
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def handle(request):
        body = await request.json()
        asked.append(body["inputs"]["text"])
        if len(asked) % 2 == 0:
            return web.json_response({"error": "full"}, status=503)
        outputs = {"text": ["x"], "score": [-1.0], "log_prob": [-1.0]}
        return web.json_response({"outputs": outputs})

    async def start():
        application = web.Application()
        application.router.add_post("/v1/models/seq2seq:predict", handle)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def bench(*arguments):
    return CliRunner().invoke(cli.main, ["bench-serving", *arguments], catch_exceptions=False)


@pytest.fixture(autouse=True)
def _sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("a\tA\nb\tB\n")


@pytest.mark.slow
def test_what_was_sent_answered_and_refused_is_counted_and_drawn(server):
    address, asked = server
    result = bench(
        *("--server", address, "--sources", "pairs.tsv", "--rates", "40,80", "--seconds", "1"),
        *("--to", "made/load"),
    )
    assert result.exit_code == 0, result.output
    loads = json.loads(Path("made/load.json").read_text())["loads"]
    assert [load["rate"] for load in loads] == [40, 80]
    assert sum(load["sent"] for load in loads) == len(asked) - 1  # the first is to try it
    for load in loads:
        assert load["sent"] == load["answered"] + load["errors"]["UNAVAILABLE"] > 10
        assert 0 < load["latency_ms"]["p50"] <= load["latency_ms"]["p99"]
        assert 0 <= load["late_ms"]["p50"] < load["latency_ms"]["max"]
    assert {text for (text,) in asked} == {"a", "b"}
    assert "<svg" in Path("made/load.svg").read_text()
    assert Path("made/load.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("rates", ["", "x", "0", "-1", "10,,20", "nan"])
def test_a_rate_that_is_none_is_refused(rates):
    result = bench("--server", "http://127.0.0.1:9", "--sources", "pairs.tsv", "--rates", rates)
    assert result.exit_code == 1 and "error: rates: expected numbers" in result.output


def test_nothing_to_send_is_told_with_its_file():
    Path("none").write_text("")
    result = bench("--server", "http://127.0.0.1:9", "--sources", "none")
    assert result.exit_code == 1 and "expected a source a line in none" in result.output
