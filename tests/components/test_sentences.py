"""The promises of evaluated sentences: batches that cost alike, rows to go back to."""

import json
import random

import numpy as np
import pytest

from seq2seq_tfx.components import decoding
from seq2seq_tfx.components.decoding import in_batches, length_group
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.sentences import (
    BASELINE,
    CANDIDATE,
    compare,
    new_row,
    read_rows,
    read_statistics,
)


def row(source, label="test", **answers):
    found = new_row(source, ["a b c d"], {"set": label})
    return {**found, **{model: {"text": text} for model, text in answers.items()}}


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


def test_statistics_come_in_the_order_of_ids_whatever_the_order_of_rows():
    rows = [compare(row(f"s{i}", candidate="a b", baseline="a b c d"), ["bleu"]) for i in range(9)]
    rows[4] = compare(row("s4", label="names", candidate="x", baseline="a b"), ["bleu"])
    one, other = (read_statistics(order, ["bleu"]) for order in (rows, rows[::-1]))
    assert one.slices == other.slices
    for model in (CANDIDATE, BASELINE):
        np.testing.assert_array_equal(one.measures[model]["bleu"], other.measures[model]["bleu"])
        assert one.measures[model]["bleu"].shape == (9, 10)
    names = one.where("set", "names")
    assert len(names.slices) == 1
    np.testing.assert_array_equal(
        names.measures[CANDIDATE]["bleu"], [rows[4][CANDIDATE]["statistics"]["bleu"]]
    )
    assert one.labels("set") == ["names", "test"] and one.labels("domain") == []


def test_the_same_source_in_another_set_is_another_sentence():
    assert row("a")["id"] == row("a")["id"]
    assert row("a")["id"] != row("a", label="names")["id"]


def test_a_damaged_line_is_told_with_its_place(tmp_path):
    path = tmp_path / "sentences-00000-of-00001.jsonl"
    path.write_text(json.dumps({"id": "1"}) + '\n{"id": "2\n')
    with pytest.raises(PipelineError, match=rf"{path.name}:2: expected JSON"):
        list(read_rows(str(tmp_path)))


def test_text_of_any_kind_survives_its_line(tmp_path):
    source = 'a\u2028b\x85c\x00"\\\u202e\U0001f642'
    found = compare(row(source, candidate=source), ["bleu", "copy_rate"])
    text = json.dumps(found, ensure_ascii=False)
    (tmp_path / "sentences-00000-of-00001.jsonl").write_bytes(text.encode() + b"\n")
    assert list(read_rows(str(tmp_path))) == [found]
