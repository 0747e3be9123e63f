"""Batches: whose rows they hold, in which order they come back, and who waits for whom."""

import asyncio

import pytest
from grpc import StatusCode

from seq2seq_tfx.serving.server.errors import RequestError

from .asking_batcher import LONG


def test_rows_come_back_in_their_order_whatever_their_lengths(asking, model):
    texts = ["b", LONG, "a" * 20, "c", "d" * 500, "", LONG + "x", "e"]

    async def test(ask, began):
        assert await ask(*texts) == [text.upper() for text in texts]

    asking(test)
    assert sorted(map(len, model.batches)) == [1, 1, 2, 4]  # a band is a batch


def test_what_came_meanwhile_is_the_next_batch_and_no_larger_than_it_may(asking, model):
    gate = model.hold("first")

    async def test(ask, began):
        first = asyncio.create_task(ask("first"))
        await began()
        others = [asyncio.create_task(ask(f"t{i}", f"u{i}")) for i in range(5)]
        await asyncio.sleep(0)
        gate.set()
        assert await first == ["FIRST"]
        assert await asyncio.gather(*others) == [[f"T{i}", f"U{i}"] for i in range(5)]

    asking(test, batch_rows=4)
    assert list(map(len, model.batches)) == [1, 4, 4, 2]


def test_a_request_larger_than_a_batch_is_cut(asking, model):
    async def test(ask, began):
        texts = [f"t{i:02}" for i in range(10)]
        assert await ask(*texts) == [text.upper() for text in texts]

    asking(test, batch_rows=4)
    assert list(map(len, model.batches)) == [4, 4, 2]


def test_a_long_sentence_does_not_hold_up_short_ones(asking, model):
    gate = model.hold(LONG)

    async def test(ask, began):
        long = asyncio.create_task(ask(LONG))
        await began()
        for _ in range(20):
            assert await ask("short") == ["SHORT"]
        assert not long.done()
        gate.set()
        await long

    asking(test)


def test_what_comes_together_is_one_batch(asking, model):
    async def test(ask, began):
        await asyncio.gather(*(ask(text) for text in "abcdef"))

    asking(test)
    assert model.batches == [[*"abcdef"]]


def test_no_part_of_a_request_is_queued_where_another_is_refused(asking, model):
    gate = model.hold("first")

    async def test(ask, began):
        first = asyncio.create_task(ask("first"))
        await began()
        waiting = asyncio.create_task(ask("a", "b"))
        await asyncio.sleep(0)
        with pytest.raises(RequestError):
            await ask(LONG, "c", "d")
        gate.set()
        await asyncio.gather(first, waiting)

    asking(test, queue_rows=2)
    assert [LONG] not in model.batches


def test_what_nobody_waits_for_is_not_decoded(asking, model):
    gate = model.hold("first")

    async def test(ask, began):
        first = asyncio.create_task(ask("first"))
        await began()
        gone = asyncio.create_task(ask("gone"))
        late = asyncio.create_task(ask("late", seconds=0))
        await asyncio.sleep(0)
        gone.cancel()
        gate.set()
        await first
        with pytest.raises(RequestError) as refused:
            await late
        assert refused.value.code is StatusCode.DEADLINE_EXCEEDED

    asking(test)
    assert model.batches == [["first"]]


def test_a_bad_request_does_not_fail_its_neighbours(asking, model):
    gate = model.hold("first")

    async def test(ask, began):
        first = asyncio.create_task(ask("first"))
        await began()
        good, bad = asyncio.create_task(ask("a", "b")), asyncio.create_task(ask("c", "bad"))
        await asyncio.sleep(0)
        gate.set()
        await first
        assert await good == ["A", "B"]
        with pytest.raises(RequestError, match="row 1 is bad"):
            await bad

    asking(test)


def test_the_row_at_fault_is_told_by_its_place_in_the_request(asking):
    async def test(ask, began):
        with pytest.raises(RequestError, match="row 2 is bad"):
            await ask(LONG, "a", "bad")

    asking(test)


def test_a_fault_of_the_server_is_told_to_all_and_ends_nothing(asking):
    async def test(ask, began):
        with pytest.raises(ZeroDivisionError):
            await ask("bug")
        assert await ask("a") == ["A"]

    asking(test)


def test_what_depends_on_its_batch_is_answered_alone(asking, model):
    async def test(ask, began):
        asked = [asyncio.create_task(ask(f"t{i}", LONG, joins=False)) for i in range(3)]
        await asyncio.gather(*asked)

    asking(test)
    assert model.batches == [[f"t{i}", LONG] for i in range(3)]


def test_no_rows_are_asked_of_the_model_all_the_same(asking, model):
    async def test(ask, began):
        assert await ask() == []

    asking(test)
    assert model.batches == [[]]
