"""Asks a batcher of a model that can be held, without a server around them."""

import asyncio
import threading
import time

import numpy as np

from seq2seq_tfx.serving.server.batching import Batcher
from seq2seq_tfx.serving.server.errors import invalid
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


def arrays(texts):
    array = np.empty(len(texts), object)
    array[:] = [text.encode() for text in texts]
    return {"text": array}


def run(model, pool, test, **limits):
    """Runs a coroutine with a way to ask, and one to wait until a batch has begun."""

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
