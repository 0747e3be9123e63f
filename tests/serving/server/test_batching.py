"""Batches: whose rows they hold, in which order they come back, and who waits for whom."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from grpc import StatusCode

from seq2seq_tfx.serving.server.batching import Batcher
from seq2seq_tfx.serving.server.errors import RequestError, invalid
from seq2seq_tfx.serving.server.limits import Limits
from seq2seq_tfx.serving.server.metrics import Metrics

LONG = "l" * 300
SOON, PATIENT = 5, 30  # seconds: what fails a test, and what no test waits for


class Model:
    """Answers with capitals; keeps what it was asked, and waits where it is told to."""

    def __init__(self):
        self.batches = []
        self.gates = {}  # by the first text of a batch: what it waits for
        self.begun = threading.Semaphore(0)

    def hold(self, text):
        self.gates[text] = threading.Event()
        return self.gates[text]

    def run(self, signature, inputs):
        texts = [text.decode() for text in inputs["text"]]
        self.batches.append(texts)
        self.begun.release()
        if texts and texts[0] in self.gates:
            assert self.gates[texts[0]].wait(PATIENT)
        if "bad" in texts:
            raise invalid(f"row {texts.index('bad')} is bad")
        if "bug" in texts:
            raise ZeroDivisionError
        return {
            "text": np.array([text.upper().encode() for text in texts], object),
            "length": np.array([len(text) for text in texts]),
        }


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def arrays(texts):
    array = np.empty(len(texts), object)
    array[:] = [text.encode() for text in texts]
    return {"text": array}


@pytest.fixture
def asking(model, pool):
    """Runs a test's coroutine with a way to ask."""

    def run(test, **limits):
        async def main():
            batcher = Batcher(model.run, Limits(**{"batches": 1, **limits}), pool, Metrics())

            async def ask(*texts, joins=True, seconds=PATIENT):
                deadline = time.monotonic() + seconds
                outputs = await batcher.answer("best", joins, arrays(texts), deadline)
                assert outputs["length"].tolist() == [len(text) for text in texts]
                return [text.decode() for text in outputs["text"]]

            async def began():
                await asyncio.to_thread(model.begun.acquire, timeout=SOON)

            await asyncio.wait_for(test(ask, began), PATIENT)
            while batcher.is_busy:  # its last batch has been told, and its task ends
                await asyncio.sleep(0.01)

        asyncio.run(main())

    return run


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
    gates = [model.hold(text) for text in ("slow", "next")]

    async def test(ask, began):
        slow = asyncio.create_task(ask("slow", "too"))
        await began()
        await asyncio.sleep(0.2)  # a row takes half of that at least
        gates[0].set()
        await slow
        held = asyncio.create_task(ask("next"))
        await began()
        waiting = [asyncio.create_task(ask(text)) for text in "ab"]  # a few may always wait
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await asyncio.wait_for(ask("c"), SOON)
        assert refused.value.code is StatusCode.UNAVAILABLE
        gates[1].set()
        await asyncio.gather(held, *waiting)
        assert await ask("c") == ["C"]

    asking(test, queue_rows=100, batch_rows=2, queue_seconds=0.1, burst_rows=1, few_rows=2)


def test_a_burst_may_take_longer_than_what_comes_beyond_it(asking, model):
    slow, last = model.hold("slow"), model.hold("last")

    async def test(ask, began):
        first = asyncio.create_task(ask("slow", "too"))
        await began()
        await asyncio.sleep(0.2)  # a row takes half of that at least
        slow.set()
        await first
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
    slow, last = model.hold("slow"), model.hold("last")

    async def test(ask, began):
        first = asyncio.create_task(ask("slow", "too"))
        await began()
        await asyncio.sleep(0.2)  # a row takes half of that at least
        slow.set()
        await first
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
    slow, last = model.hold("slow"), model.hold("last")

    async def test(ask, began):
        first = asyncio.create_task(ask("slow", "too"))
        await began()
        await asyncio.sleep(0.2)
        slow.set()
        await first
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
    slow, last = model.hold("slow"), model.hold("last")

    async def test(ask, began):
        first = asyncio.create_task(ask("slow", "b", "c", "d"))
        await began()
        await asyncio.sleep(0.4)
        slow.set()
        await first
        await ask("alone")
        await began()
        held = asyncio.create_task(ask("last"))
        await began()
        waiting = [asyncio.create_task(ask(text)) for text in "abcdef"]
        await asyncio.sleep(0)
        last.set()
        await asyncio.gather(held, *waiting)

    asking(test, batch_rows=4, queue_seconds=0.1, burst_rows=1, few_rows=1)


def test_what_comes_together_is_one_batch(asking, model):
    async def test(ask, began):
        await asyncio.gather(*(ask(text) for text in "abcdef"))

    asking(test)
    assert model.batches == [[*"abcdef"]]


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
