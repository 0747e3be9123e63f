"""Duplicates: exact ones to the row, near ones by the similarity that is promised."""

import json
import random
from collections import Counter

import numpy as np
import pytest

from seq2seq_tfx.components.bitext_limits import DataValidationConfig
from seq2seq_tfx.components.cleaning import duplicates
from seq2seq_tfx.components.cleaning.duplicates import (
    NearDuplicates,
    minhash,
    minhashes,
)
from seq2seq_tfx.components.data_check import check_pairs
from seq2seq_tfx.components.data_config import DataConfig
from seq2seq_tfx.components.readers.rows import Pair
from seq2seq_tfx.pipeline.beam_args import BEAM_ARGS


def grams(text):
    return {text[i : i + 4] for i in range(len(text) - 3)}


def test_equal_hashes_estimate_the_jaccard_similarity():
    generator = random.Random(1)
    errors = []
    for _ in range(300):
        text = "".join(generator.choices("abcdefgh ", k=80)).strip()
        place = generator.randrange(60)
        other = text[:place] + "".join(generator.choices("xyz", k=generator.randrange(9))) + "q"
        other += text[place + 5 :]
        a, b = (" ".join(t.split()) for t in (text, other))
        true = len(grams(a) & grams(b)) / len(grams(a) | grams(b))
        errors.append((minhash(a) == minhash(b)).mean() - true)
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.1


def test_near_duplicates_disregard_letter_case_and_spacing():
    assert (minhash("Hello  World") == minhash("hello world")).all()


def run(tmp_path, files, *cleaning, **data):
    """(kept lines, rejected (file, line, reason, detail)) by the names of files."""
    for name, lines in files.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    config = DataConfig(**{"input": str(tmp_path / "*.tsv"), "cleaning": list(cleaning), **data})
    report = check_pairs(config, DataValidationConfig(), tmp_path / "out", list(BEAM_ARGS))
    return report, tmp_path / "out"


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "lost"),
    [
        ("pair", {("a.tsv", 3), ("b.tsv", 1), ("b.tsv", 4)}),
        ("source", {("a.tsv", 2), ("a.tsv", 3), ("b.tsv", 1), ("b.tsv", 4)}),
        ("target", {("a.tsv", 3), ("b.tsv", 1), ("b.tsv", 2), ("b.tsv", 4)}),
    ],
)
def test_of_equal_pairs_the_first_is_kept_and_named(tmp_path, by, lost):
    files = {
        "a.tsv": ["one\teins", "one\tein", "one\teins", "bad"],
        "b.tsv": ["one\teins", "two\teins", "three\tdrei", "three\tdrei"],
    }
    report, out = run(tmp_path, files, {"filter": "duplicates", "by": by})
    rejected = [row for row in rows_of(out / "rejected.jsonl") if row["reason"] == "duplicate"]
    assert {(row["file"][-5:], row["line"]) for row in rejected} == lost
    assert report.rejected == {"duplicate": len(lost), "wrong_field_count": 1}
    assert report.read == 8 == report.kept + sum(report.rejected.values())
    assert len(rows_of(out / "kept.jsonl")) == report.kept
    firsts = {row["detail"] for row in rejected if row["text"] == "one\teins"}
    assert firsts == {f"of {tmp_path}/a.tsv:1"}


LONG = "a sentence that is long enough for its grams to say something"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "cleaning", "lost"),
    [
        (
            ["s1\tt1", "s1\tt2", "s2\tt2", "s3\tt2"],
            [{"filter": "duplicates", "by": "source"}, {"filter": "duplicates", "by": "target"}],
            {2: 1, 4: 3},
        ),
        (
            ["s\tt", f"s\t{LONG}", f"u\t{LONG}!", f"v\t{LONG}?"],
            [
                {"filter": "duplicates", "by": "source"},
                {"filter": "near_duplicates", "by": "target"},
            ],
            {2: 1, 4: 3},
        ),
    ],
)
def test_no_pair_is_rejected_for_one_that_another_comparison_rejected(
    tmp_path, lines, cleaning, lost
):
    report, out = run(tmp_path, {"a.tsv": lines}, *cleaning)
    rejected = {row["line"]: row["detail"] for row in rows_of(out / "rejected.jsonl")}
    assert rejected == {line: f"of {tmp_path}/a.tsv:{first}" for line, first in lost.items()}
    assert report.read == 4 == report.kept + len(lost)


ORDERS = {
    "alone": ("*.tsv", "a"),  # by path
    "listed": (["c.tsv", "a.tsv", "b.tsv"], "c"),
    "given": ({"train": "a.tsv", "validation": "c.tsv", "test": "b.tsv"}, "b"),
    "validation": ({"train": ["d.tsv", "a.tsv"], "validation": "c.tsv", "test": "e.tsv"}, "c"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["duplicates", "near_duplicates"])
@pytest.mark.parametrize("order", ORDERS)
def test_the_first_is_of_a_held_out_split_then_of_the_input_listed_first(tmp_path, kind, order):
    given, first = ORDERS[order]
    files = {f"{name}.tsv": ["a sentence\tein Satz"] for name in "abc"}
    files |= {f"{name}.tsv": [f"{name * 9}\t{name}"] for name in "de" if order == "validation"}

    def placed(value):
        if isinstance(value, dict):
            return {key: placed(inner) for key, inner in value.items()}
        return [*map(placed, value)] if isinstance(value, list) else str(tmp_path / value)

    _, out = run(tmp_path, files, {"filter": kind}, input=placed(given))
    kept = [row["file"] for row in rows_of(out / "kept.jsonl") if row["source"] == "a sentence"]
    assert kept == [str(tmp_path / f"{first}.tsv")]


@pytest.mark.slow
def test_where_a_column_gives_the_splits_train_loses_too(tmp_path):
    files = {
        "a.tsv": ["one\teins\ttrain", "one\teins\ttest", "two\tzwei\tdev"],
        "b.tsv": ["one\teins\tdev", "two\tzwei\ttest", "two\tzwei\ttrain"],
    }
    settings = {
        "columns": {"source": 1, "target": 2}, "extra": {"part": 3}, "splits": {"column": "part"},
    }  # fmt: skip
    report, out = run(tmp_path, files, {"filter": "duplicates"}, **settings)
    assert {(row["source"], row["part"]) for row in rows_of(out / "kept.jsonl")} == {
        ("one", "test"), ("two", "test"),
    }  # fmt: skip
    assert report.rejected == {"duplicate": 4}


@pytest.mark.slow
def test_duplicates_are_looked_for_among_what_other_filters_kept(tmp_path):
    files = {"a.tsv": ["a  b\tx", "a b\tx", "a b\ta b", "a b\ta b"]}
    cleaning = ({"filter": "duplicates"}, {"filter": "normalize"}, {"filter": "identical"})
    report, _ = run(tmp_path, files, *cleaning)
    assert report.rejected == {"duplicate": 1, "identical_sides": 2}


@pytest.mark.slow
def test_near_duplicates_are_found_and_others_kept(tmp_path):
    generator = random.Random(2)
    words = ["".join(generator.choices("abcdefghij", k=6)) for _ in range(400)]
    sentences = [" ".join(generator.choices(words, k=12)) for _ in range(300)]
    lines = [f"{sentence}\tx" for sentence in sentences]
    near = [f"{sentence.upper()}.\tx" for sentence in sentences[:100]]
    near += [f"{sentence} {number}\tx" for number in range(2) for sentence in sentences[:20]]
    files = {"a.tsv": lines, "b.tsv": near}
    report, out = run(tmp_path, files, {"filter": "near_duplicates", "by": "source"})
    found = Counter(row["file"][-5:] for row in rows_of(out / "rejected.jsonl"))
    assert found == {"b.tsv": 100}
    assert report.kept == 340  # what differs in a number is another pair


def test_a_short_text_has_a_signature():
    packed = NearDuplicates(filter="near_duplicates").pack(0, [(0, Pair("a", "b", "f", 1))])
    assert len(set(packed["key"].tolist())) == len(packed) == 6


def test_the_signature_of_a_text_does_not_depend_on_its_neighbours():
    generator = random.Random(3)
    texts = ["".join(generator.choices("ab ä漢\n", k=n)) for n in (*range(12), 300)]
    together = minhashes(texts)
    for text, signature in zip(texts, together, strict=True):
        assert (minhash(text) == signature).all()
    assert minhashes([]).shape == (0, 30)


@pytest.mark.slow
def test_pairs_of_a_template_are_compared_with_a_bounded_number_and_that_is_told(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(duplicates, "MOST", 5)
    template = "this offer is valid only while stocks last and cannot be combined with any other"
    lines = [f"{template} {chr(97 + n) * 6}\tx" for n in range(12)] + ["nothing like it\ty"]
    near = {"filter": "near_duplicates", "by": "source", "similarity": 1}
    report, out = run(tmp_path, {"a.tsv": lines}, near)
    in_part = report.compared_in_part
    assert 0 < in_part <= report.kept - 5 and report.kept + report.rejected["near_duplicate"] == 13
    assert f"{in_part} pairs were compared with some alone" in (out / "report.html").read_text()
    report, _ = run(tmp_path, {"a.tsv": lines[:5]}, near)
    assert report.compared_in_part == 0
