"""The promises of slices: labels that mean the same in every run."""

import pytest

from seq2seq_tfx.components.slices import (
    by_size,
    count_words,
    length_label,
    parts_of,
    rarity_label,
    slice_name,
)


@pytest.mark.parametrize(
    ("length", "label"),
    [(0, "1-4"), (1, "1-4"), (4, "1-4"), (5, "5-8"), (8, "5-8"), (64, "33-64"), (256, "129-256"),
     (257, "257+"), (10_000, "257+")],
)  # fmt: skip
def test_a_source_is_in_the_bucket_of_its_characters(length, label):
    assert length_label("ä" * length) == label


@pytest.mark.parametrize(
    ("times", "label"),
    [(0, "0"), (1, "1-9"), (9, "1-9"), (10, "10-99"), (99, "10-99"), (100, "100+")],
)
def test_the_rarest_word_decides(times, label):
    counts = count_words(["Common common"] * 200 + ["rare words"] * times, {"common", "rare"})
    assert counts["words"] == 0  # not asked for, so not held
    assert rarity_label("common RARE", counts) == label
    assert rarity_label("common", counts) == "100+"


def test_a_source_without_words_has_the_rarest():
    assert rarity_label("  ", {}) == "0"


def test_buckets_are_told_by_their_numbers_and_other_labels_by_name():
    labels = ["257+", "9-16", "1-4", "17-32"]
    assert sorted(labels, key=by_size) == ["1-4", "9-16", "17-32", "257+"]
    assert sorted(["news", "law", "mail-2"], key=by_size) == ["law", "mail-2", "news"]
    assert sorted(["2", "9" * 5000], key=by_size)  # a label is whatever a column has


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("domain", [("domain", None)]),
        ("domain=", [("domain", "")]),
        ("domain, length", [("domain", None), ("length", None)]),
        ("domain=a=b, length=1-4", [("domain", "a=b"), ("length", "1-4")]),
        ("domain, length=1-4", [("domain", None), ("length", "1-4")]),
        ("domain=news, sport, length", [("domain", "news, sport"), ("length", None)]),
        ("domain=at length, lengthy", [("domain", "at length, lengthy")]),
    ],
)
def test_a_slice_is_named_by_dimensions_and_labels_which_may_hold_commas(name, parts):
    assert parts_of(name, ["domain", "length"]) == parts
    if all(label is not None for _, label in parts):
        assert slice_name(dict(parts)) == name
