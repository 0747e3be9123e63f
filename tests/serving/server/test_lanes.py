"""Lanes: what may wait in them, what is refused, and which of them has a core."""

import asyncio

import pytest
from grpc import StatusCode

from seq2seq_tfx.serving.server.errors import RequestError

from .asking_batcher import LONG, SOON


async def told_slow(model, ask, began, *texts):
    """A full batch takes so long that each row of two counts 0.1 s at least."""
    gate = model.hold(texts[0])
    asked = asyncio.create_task(ask(*texts))
    await began()
    await asyncio.sleep(0.2)
    gate.set()
    await asked


def test_while_one_batch_is_decoded_another_begins_and_no_third(asking, model):
    gates = [model.hold(text) for text in ("first", "second")]

    async def test(ask, began):
        held = []
        for text in ("first", "second"):
            held.append(asyncio.create_task(ask(text)))
            await began()
        others = [asyncio.create_task(ask(text)) for text in "abc"]
        await asyncio.sleep(0.05)
        assert model.batches == [["first"], ["second"]]
        gates[1].set()
        assert await asyncio.gather(held[1], *others) == [["SECOND"], ["A"], ["B"], ["C"]]
        assert not held[0].done()
        gates[0].set()
        await held[0]

    asking(test, batches=2)
    assert model.batches == [["first"], ["second"], ["a", "b", "c"]]


def test_a_full_queue_refuses_at_once_and_takes_again_when_it_has_room(asking, model):
    gate = model.hold("first")

    async def test(ask, began):
        first = asyncio.create_task(ask("first"))
        await began()
        waiting = [asyncio.create_task(ask("a", "b")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await asyncio.wait_for(ask("c"), SOON)
        assert refused.value.code is StatusCode.UNAVAILABLE
        assert await ask(LONG) == [LONG.upper()]  # another band has room
        gate.set()
        await asyncio.gather(first, *waiting)
        assert await ask("c") == ["C"]

    asking(test, queue_rows=4)


def test_a_queue_holds_no_more_than_its_model_can_soon_answer(asking, model):
    gate = model.hold("next")

    async def test(ask, began):
        await told_slow(model, ask, began, "slow", "too")
        held = asyncio.create_task(ask("next"))
        await began()
        waiting = [asyncio.create_task(ask(text)) for text in "ab"]  # a few may always wait
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await asyncio.wait_for(ask("c"), SOON)
        assert refused.value.code is StatusCode.UNAVAILABLE
        gate.set()
        await asyncio.gather(held, *waiting)
        assert await ask("c") == ["C"]

    asking(test, queue_rows=100, batch_rows=2, queue_seconds=0.1, burst_rows=1, few_rows=2)


def test_a_burst_may_take_longer_than_what_comes_beyond_it(asking, model):
    last = model.hold("last")

    async def test(ask, began):
        await told_slow(model, ask, began, "slow", "too")
        held = asyncio.create_task(ask("last"))
        await began()
        waiting = []
        for text in "abcd":
            waiting.append(asyncio.create_task(ask(text)))
            await asyncio.sleep(0)
        with pytest.raises(RequestError):  # six in hand
            await asyncio.wait_for(ask("e", "f"), SOON)
        last.set()
        await asyncio.gather(held, *waiting)

    asking(test, batch_rows=2, queue_seconds=0.1, burst_rows=5, burst_seconds=60, few_rows=0)


def test_a_model_that_is_too_slow_for_a_burst_refuses_it(asking, model):
    last = model.hold("last")

    async def test(ask, began):
        await told_slow(model, ask, began, "slow", "too")
        held = asyncio.create_task(ask("last"))
        await began()
        waiting = asyncio.create_task(ask("a"))
        await asyncio.sleep(0)
        with pytest.raises(RequestError):
            await asyncio.wait_for(ask("b"), SOON)
        last.set()
        await asyncio.gather(held, waiting)

    asking(test, batch_rows=2, queue_seconds=0.01, burst_seconds=0.05, few_rows=0)


def test_many_long_rows_in_hand_do_not_keep_short_ones_out(asking, model):
    gate = model.hold(LONG)

    async def test(ask, began):
        long = asyncio.create_task(ask(*(LONG + str(i) for i in range(20)), LONG))
        held = asyncio.create_task(ask(LONG))
        await began()
        assert await ask("a", "b") == ["A", "B"]
        gate.set()
        await asyncio.gather(long, held)

    asking(test, burst_rows=4, few_rows=2)


def test_a_band_begins_a_second_batch_where_a_core_is_idle_and_not_else(asking, model):
    gates = {text: model.hold(text) for text in ("first", "second", LONG)}

    async def test(ask, began):
        held = {}
        for text in ("first", LONG):
            held[text] = asyncio.create_task(ask(text))
            await began()
        held["second"] = asyncio.create_task(ask("second"))
        await asyncio.sleep(0.05)
        assert model.batches == [["first"], [LONG]]
        gates[LONG].set()
        await held[LONG]
        await began()  # though the first is still being decoded
        assert model.batches == [["first"], [LONG], ["second"]]
        for gate in gates.values():
            gate.set()
        await asyncio.gather(*held.values())

    asking(test, batches=2)


def test_how_long_a_row_by_itself_took_refuses_none_of_a_burst(asking, model):
    gate = model.hold("alone")

    async def test(ask, began):
        alone = asyncio.create_task(ask("alone"))
        await began()
        await asyncio.sleep(0.2)
        gate.set()
        await alone
        texts = [f"t{i}" for i in range(20)]
        answers = await asyncio.gather(*(ask(text) for text in texts))
        assert answers == [[text.upper()] for text in texts]

    asking(test, queue_rows=100, batch_rows=2, queue_seconds=0.1, few_rows=0)


def test_a_queue_that_was_slow_once_has_its_room_again_when_its_model_is_fast(asking, model):
    last = model.hold("last")

    async def test(ask, began):
        await told_slow(model, ask, began, "slow", "too")
        for _ in range(10):  # full ones, which leave nothing waiting
            await ask("a", "b")
            await began()
        held = asyncio.create_task(ask("last"))
        await began()
        waiting = [asyncio.create_task(ask(text)) for text in "abcdef"]
        await asyncio.sleep(0)
        last.set()
        await asyncio.gather(held, *waiting)

    asking(test, queue_rows=100, batch_rows=2, queue_seconds=0.1, burst_rows=1, few_rows=2)


def test_batches_with_room_left_tell_as_well_that_a_model_is_fast_again(asking, model):
    last = model.hold("last")

    async def test(ask, began):
        await told_slow(model, ask, began, "slow", "b", "c", "d")
        await ask("alone")
        await began()
        held = asyncio.create_task(ask("last"))
        await began()
        waiting = [asyncio.create_task(ask(text)) for text in "abcdef"]
        await asyncio.sleep(0)
        last.set()
        await asyncio.gather(held, *waiting)

    asking(test, batch_rows=4, queue_seconds=0.1, burst_rows=1, few_rows=1)


def test_what_nobody_waits_for_takes_no_room(asking, model):
    gate = model.hold("hangs")

    async def test(ask, began):
        hangs = asyncio.create_task(ask("hangs"))
        await began()
        with pytest.raises(RequestError):
            await ask("a", "b", seconds=0.05)
        gone = asyncio.create_task(ask("c", "d"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
        waiting = asyncio.create_task(ask("e"))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(hangs, waiting)

    asking(test, queue_rows=2)
    assert model.batches == [["hangs"], ["e"]]


def test_a_batch_that_hangs_does_not_end_its_band_while_others_are_busy(asking, model, monkeypatch):
    monkeypatch.setattr("seq2seq_tfx.serving.server.lanes.SLOW", 0.1)
    gates = [model.hold(text) for text in ("hangs", LONG)]

    async def test(ask, began):
        held = []
        for text in ("hangs", LONG):
            held.append(asyncio.create_task(ask(text)))
            await began()
        assert await ask("short", seconds=SOON) == ["SHORT"]
        for gate in gates:
            gate.set()
        await asyncio.gather(*held)

    asking(test, batches=2)


def test_a_band_that_hangs_takes_no_more_threads_than_idle_cores(asking, model, monkeypatch):
    monkeypatch.setattr("seq2seq_tfx.serving.server.lanes.SLOW", 0)
    gates = [model.hold(text) for text in ("first", "second")]

    async def test(ask, began):
        held = []
        for text in ("first", "second"):
            held.append(asyncio.create_task(ask(text)))
            await began()
        with pytest.raises(RequestError):
            await ask("third", seconds=0.1)
        assert await ask(LONG) == [LONG.upper()]
        for gate in gates:
            gate.set()
        await asyncio.gather(*held)

    asking(test, batches=2)
    assert ["third"] not in model.batches


def test_a_large_request_is_taken_among_small_ones(asking, model):
    gate = model.hold("first")

    async def test(ask, began):
        first = asyncio.create_task(ask("first"))
        await began()
        small = asyncio.create_task(ask("a"))
        await asyncio.sleep(0)
        large = asyncio.create_task(ask(*"bcdefg"))
        await asyncio.sleep(0)
        with pytest.raises(RequestError):  # now it is full
            await asyncio.wait_for(ask("h"), SOON)
        gate.set()
        await asyncio.gather(first, small)
        assert await large == [*"BCDEFG"]

    asking(test, queue_rows=4)
