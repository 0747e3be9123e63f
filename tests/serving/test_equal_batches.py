"""The promises of batching: every text once, and no batch dearer than allowed."""

import random

from seq2seq_tfx.serving import equal_batches
from seq2seq_tfx.serving.equal_batches import batches


def test_batches_hold_every_text_once_and_cost_no_more_than_allowed(monkeypatch):
    monkeypatch.setattr(equal_batches, "CHARACTERS", 600)
    monkeypatch.setattr(equal_batches, "ROWS", 50)
    generator = random.Random(1)
    lengths = [generator.randint(0, 90) for _ in range(500)] + [5000]  # alone dearer than allowed
    cut = list(batches(lengths))
    assert sorted(place for batch in cut for place in batch) == list(range(501))
    for batch in cut:
        assert len(batch) <= 50
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 600
    # Neighbours in length, so that little is padded: no batch is cut before it is full.
    assert len(cut) < 2 * sum(lengths[:-1]) / 600


def test_of_nothing_there_is_no_batch():
    assert list(batches([])) == []
