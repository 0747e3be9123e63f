"""The promises of the files of evaluated sentences: rows come back, statistics in order."""

import math
import random

import numpy as np
import pyarrow.parquet as pq
import pytest

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.sentence_files import (
    read_rows,
    read_statistics,
    schema_of,
    statistics_of,
    to_table,
)
from seq2seq_tfx.components.sentences import BASELINE, CANDIDATE, MODELS, compare, new_row

NAMES = ["bleu", "copy_rate"]


def row(source, label="test", slices=None, names=NAMES, **texts):
    found = new_row(source, ["a b c d"], {"set": label, **(slices or {})})
    answers = {
        model: {"text": text, "score": -0.5, "log_prob": -1.0} for model, text in texts.items()
    }
    return compare({**found, **answers}, names)


def write(folder, *shards, dimensions=(), models=(CANDIDATE,), names=NAMES):
    schema = schema_of(dimensions, models, names)
    for i, rows in enumerate(shards):
        pq.write_table(to_table(rows, schema), folder / f"sentences-{i}-of-9.parquet")
    return str(folder)


def test_rows_come_back_as_they_were_written(tmp_path):
    told = row("a", candidate="a b", slices={"domain": "news"})
    told["candidate"]["confidence"] = {"mean_log_prob": -0.25, "source_length": 3}
    told["candidate"]["forced"] = [{"log_prob": -1.5, "tokens": 5, "correct": 4}]
    silent = row("b", label="names", candidate="")
    uri = write(tmp_path, [told], [silent], dimensions=["domain"])
    assert list(read_rows(uri)) == [told, silent]


def test_text_of_any_kind_survives(tmp_path):
    source = 'a\u2028b\x85c\x00"\\\u202e\U0001f642\r\n'
    found = row(source, candidate=source)
    assert list(read_rows(write(tmp_path, [found]))) == [found]


def test_statistics_come_in_the_order_of_ids_whatever_the_order_of_rows(tmp_path):
    rows = [row(f"s{i}", candidate="a b", baseline="a b c d") for i in range(9)]
    rows[4] = row("s4", "names", {"domain": "it"}, candidate="x", baseline="a b")
    random.Random(1).shuffle(rows)
    uri = write(tmp_path, rows[:4], [], rows[4:], dimensions=["domain"], models=MODELS)
    read = read_statistics(uri, NAMES)
    whole = statistics_of(to_table(rows[::-1], schema_of(["domain"], MODELS, NAMES)), NAMES)
    ordered = sorted(rows, key=lambda one: one["id"])
    for found in (read, whole):
        assert found.slices == [one["slices"] for one in ordered]
        for model in MODELS:
            for name in NAMES:
                expected = [one[model]["statistics"][name] for one in ordered]
                np.testing.assert_array_equal(found.measures[model][name], expected)
    names = read.where("set", "names")
    np.testing.assert_array_equal(
        names.measures[CANDIDATE]["bleu"],
        [one["candidate"]["statistics"]["bleu"] for one in rows if one["source"] == "s4"],
    )
    assert read.labels("set") == ["names", "test"] and read.labels("domain") == ["it"]


def test_a_model_that_was_not_evaluated_has_no_statistics(tmp_path):
    found = read_statistics(write(tmp_path, [row("a", candidate="a")]), NAMES)
    assert set(found.measures) == {CANDIDATE} and BASELINE not in found.measures


def test_a_figure_that_is_no_number_stays_none(tmp_path):
    found = row("a", candidate="a")
    found["candidate"]["statistics"]["copy_rate"] = [math.nan, 1.0]
    uri = write(tmp_path, [found])
    statistics = read_statistics(uri, NAMES).measures[CANDIDATE]["copy_rate"]
    np.testing.assert_array_equal(statistics, [[math.nan, 1.0]])
    (again,) = read_rows(uri)
    assert math.isnan(again["candidate"]["statistics"]["copy_rate"][0])


@pytest.mark.parametrize("read", [lambda uri: list(read_rows(uri)),
                                  lambda uri: read_statistics(uri, NAMES)])  # fmt: skip
def test_damage_is_told_with_its_file(tmp_path, read):
    uri = write(tmp_path, [row("a", candidate="a")], [row("b", candidate="b")])
    path = tmp_path / "sentences-1-of-9.parquet"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(PipelineError, match=rf"{path.name}: expected a Parquet file"):
        read(uri)


def test_a_folder_without_sentences_is_told(tmp_path):
    with pytest.raises(PipelineError, match=r"expected sentences\*\.parquet"):
        read_statistics(str(tmp_path), NAMES)
