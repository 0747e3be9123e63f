"""The promises of evaluated sentences: batches that cost alike, rows to go back to."""

import random

from seq2seq_tfx.components import decoding
from seq2seq_tfx.components.decoding import in_batches, length_group
from seq2seq_tfx.components.sentences import new_row


def row(source, label="test"):
    return new_row(source, ["a b c d"], {"set": label})


def test_batches_do_not_depend_on_the_order_of_rows():
    generator = random.Random(1)
    rows = [row(f"{i} " + "x" * generator.randint(0, 90)) for i in range(500)]
    cut = list(in_batches(rows))
    assert len(cut) > 1 and sum(map(len, cut)) == 500
    assert list(in_batches(reversed(rows))) == cut


def test_sources_of_a_group_are_of_about_the_same_length():
    by_group = {}
    for length in range(2000):
        by_group.setdefault(length_group({"source": "x" * length}), []).append(max(length, 1))
    assert all(max(group) <= decoding.GROWTH * min(group) + 1e-9 for group in by_group.values())
    assert len(by_group) < 30


def test_the_same_source_in_another_set_is_another_sentence():
    assert row("a")["id"] == row("a")["id"]
    assert row("a")["id"] != row("a", label="names")["id"]
