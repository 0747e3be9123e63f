"""JSON Lines, Parquet and TFRecords: sides in records."""

import json
import tracemalloc
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.example_files import encode_example

from .reading import extras, read, read_bytes, told

NESTED = {"source": "pair.en", "target": "pair.de"}


def jsonl(tmp_path, *records, **config):
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    return read_bytes(tmp_path, "a.jsonl", "\n".join(lines).encode(), **config)


def test_json_lines_are_read_at_dotted_paths(tmp_path):
    rows = jsonl(
        tmp_path,
        {"pair": {"en": "one", "de": "eins"}, "w": 0.5, "tags": ["x", "y"]},
        {"pair": {"en": "two"}},
        {"pair": None},
        {"pair.en": "three", "pair": {"de": "drei"}},
        columns=NESTED,
        extra={"weight": "w", "tag": "tags.1"},
    )
    assert told(rows) == [
        ("one", "eins", 1), ("missing_target", 2), ("missing_source", 3), ("three", "drei", 4),
    ]  # fmt: skip
    assert extras([rows[0], rows[3]]) == [{"weight": "0.5", "tag": "y"}, {"weight": "", "tag": ""}]


def test_a_list_of_targets_is_a_row_for_each(tmp_path):
    rows = jsonl(tmp_path, {"source": "a", "target": ["x", "", 3]}, {"source": "b", "target": []})
    assert told(rows) == [("a", "x", 1), ("empty_target", 1), ("wrong_type", 1), ("wrong_type", 2)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"source": "a", "target": "b"', "malformed"),
        ('{"source": "a", "target": "b"} x', "malformed"),
        ('{"source": "a", "target": "\\ud800"}', "malformed"),
        ('{"source": "a", "target": "b\\u0000"}', "nul_byte"),
        ('{"source": "a", "target": NaN}', "malformed"),
        ("[" * 100_000, "malformed"),
        ('{"source":' * 2000 + "1" + "}" * 2000, "malformed"),
        ("", "empty_line"),
        ('"text"', "wrong_type"),
        ("[]", "missing_source"),
        ('{"source": 3, "target": "b"}', "wrong_type"),
        ('{"source": {"a": 1}, "target": "b"}', "wrong_type"),
    ],
)
def test_a_bad_line_of_json_is_rejected_alone(tmp_path, line, reason):
    good = {"source": "a", "target": "b"}
    assert told(jsonl(tmp_path, good, line, good)) == [("a", "b", 1), (reason, 2), ("a", "b", 3)]


def parquet(tmp_path, table, **config):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    return read(tmp_path / "a.parquet", **config)


def test_parquet_is_read_by_column_and_by_field(tmp_path):
    rows = parquet(
        tmp_path,
        {"source": ["one", None, "three"], "target": ["eins", "zwei", ""], "n": [1, 2, 3]},
        extra={"key": "n"},
    )
    assert told(rows) == [("one", "eins", 1), ("missing_source", 2), ("empty_target", 3)]
    assert extras(rows[:1]) == [{"key": "1"}]
    rows = parquet(tmp_path, {"pair": [{"en": "a", "de": ["x", "y"]}, None]}, columns=NESTED)
    assert told(rows) == [("a", "x", 1), ("a", "y", 1), ("missing_source", 2)]
    dictionary = pa.array(["a", "b"]).dictionary_encode()
    assert len(parquet(tmp_path, {"source": dictionary, "target": ["x", "y"]})) == 2


def test_every_row_of_a_large_parquet_comes_in_order(tmp_path):
    texts = [f"text {i}" for i in range(5000)]
    rows = parquet(tmp_path, {"source": texts, "target": texts})
    assert told(rows) == [(text, text, i) for i, text in enumerate(texts, start=1)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"source": [1], "target": ["x"]}, "column 'source': expected text, found int64"),
        ({"source": [b"a"], "target": ["x"]}, "column 'source': expected text, found binary"),
        ({"source": [["a"]], "target": ["x"]}, "column 'source': expected text, found list"),
        ({"source": ["a"], "to": ["x"]}, "data.columns: no column 'target', only source, to"),
    ],
)
def test_a_parquet_of_other_types_is_refused_with_the_column(tmp_path, columns, message):
    with pytest.raises(PipelineError, match=rf"a\.parquet cannot be read: {message}"):
        parquet(tmp_path, columns)


def test_text_of_a_parquet_that_is_not_utf8_is_one_rejection(tmp_path):
    bad = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    rows = parquet(tmp_path, {"source": bad, "target": ["x", "y", "z"]})
    assert told(rows) == [("a", "x", 1), ("invalid_utf8", 2), ("c", "z", 3)]


# A newer pyarrow warns, twice, where it refuses.
@pytest.mark.filterwarnings("ignore")
def test_a_parquet_cannot_make_us_unpickle_anything(tmp_path):
    # What CVE-2023-47248 is: the type of a column is a pickle, run when it is read.
    fired = tmp_path / "fired"
    pickled = (
        b"cbuiltins\neval\n(V__import__('pathlib').Path('%s').touch()\ntR." % str(fired).encode()
    )
    field = pa.field("source", pa.string(), metadata={
        "ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickled,
    })  # fmt: skip
    schema = pa.schema([field, pa.field("target", pa.string())])
    table = pa.table({"source": ["a"], "target": ["x"]}).cast(schema)
    pq.write_table(table, tmp_path / "a.parquet")
    with suppress(PipelineError):  # by what release of pyarrow it is
        read(tmp_path / "a.parquet")
    assert not fired.exists()


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_parquet_is_refused(tmp_path, damage):
    parquet(tmp_path, {"source": ["a"] * 100, "target": ["x"] * 100})
    whole = (tmp_path / "a.parquet").read_bytes()
    data = {"cut": whole[:-30], "text": b"a\tb\n", "empty": b""}[damage]
    with pytest.raises(PipelineError, match=r"a\.parquet cannot be read: "):
        read_bytes(tmp_path, "a.parquet", data)


def example(**values):
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        if isinstance(value[0], int)
        else tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
        for name, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def tfrecord(path, records, compression=""):
    with tf.io.TFRecordWriter(str(path), options=compression) as writer:
        for record in records:
            writer.write(record)
    return path


RECORDS = [
    example(source=[b"one"], target=[b"eins", b"ein"], n=[7]),
    example(source=[b"two"]),
    example(source=[b"\xff"], target=[b"x"]),
    example(source=[3], target=[b"x"]),
    b"\xff\xff\xff",
]
ROWS = [
    ("one", "eins", 1), ("one", "ein", 1), ("missing_target", 2), ("invalid_utf8", 3),
    ("wrong_type", 4), ("malformed", 5),
]  # fmt: skip


def test_tfrecords_are_read_as_tensorflow_writes_them(tmp_path):
    rows = read(tfrecord(tmp_path / "a.tfrecord", RECORDS), extra={"key": "n"})
    assert told(rows) == ROWS
    assert extras(rows[:2]) == [{"key": "7"}] * 2
    assert told(read(tfrecord(tmp_path / "a.tfrecord.gz", RECORDS, "GZIP"))) == ROWS


@pytest.mark.parametrize("damage", ["cut", "changed", "length", "text"])
def test_a_damaged_tfrecord_is_refused_at_the_record(tmp_path, damage):
    whole = tfrecord(tmp_path / "a.tfrecord", RECORDS[:2]).read_bytes()
    second = 16 + len(RECORDS[0])
    data = {
        "cut": whole[:-5],
        "changed": whole[: second + 14] + b"?" + whole[second + 15 :],
        "length": whole[:second] + b"\xff" * 8 + whole[second + 8 :],
        "text": b"source\ttarget\n" * 9,
    }[damage]
    with pytest.raises(PipelineError, match=r"a\.tfrecord cannot be read: "):
        read_bytes(tmp_path, "a.tfrecord", data)


def test_a_large_value_that_many_rows_share_is_made_for_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("seq2seq_tfx.components.readers.parquet.LARGEST_ROW", 1 << 20)
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), ["x" * 300_000])
    plain = ["y" * 300_000] * 200
    tracemalloc.start()
    rows = parquet(tmp_path, {"source": shared, "target": plain})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.reason for row in rows] == ["long_source"] * 200
    assert peak < 10_000_000


def test_a_row_of_a_parquet_that_is_far_too_large_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("seq2seq_tfx.components.readers.parquet.LARGEST_ROW", 1 << 20)
    rows = parquet(
        tmp_path, {"source": ["a", "b", "c"], "target": [["x"], ["y" * 300_000] * 4, ["z", "w"]]}
    )
    assert told(rows) == [("a", "x", 1), ("long_row", 2), ("c", "z", 3), ("c", "w", 3)]


def test_rows_of_lists_of_one_length_are_each_as_large_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr("seq2seq_tfx.components.readers.parquet.LARGEST_ROW", 1 << 20)
    numbers = pa.array(np.zeros(40 * 50_000, "float32"))
    sides = pa.StructArray.from_arrays(
        [pa.array(["a"] * 40), pa.FixedSizeListArray.from_arrays(numbers, 50_000)], ["text", "at"]
    )
    columns = {"source": "pair.text", "target": "target"}
    rows = parquet(tmp_path, {"pair": sides, "target": ["x"] * 40}, columns=columns)
    assert told(rows) == [("a", "x", line) for line in range(1, 41)]


def test_an_extra_column_may_be_missing_from_some_rows_but_not_from_all(tmp_path):
    lines = [{"source": "a", "target": "b"}, {"source": "c", "target": "d", "at": {"topic": None}}]
    data = "\n".join(map(json.dumps, lines)).encode()
    rows = read_bytes(tmp_path, "a.jsonl", data, extra={"domain": "at.topic"})
    assert extras(rows) == [{"domain": ""}] * 2
    with pytest.raises(PipelineError, match=r"a\.jsonl .*: none of its 2 rows has 'at.topik'"):
        read_bytes(tmp_path, "a.jsonl", data, extra={"domain": "at.topik", "key": "source"})


def test_a_field_of_a_parquet_that_travels_along_is_there(tmp_path):
    table = {"source": ["a"], "target": ["b"], "at": [{"topic": "x", "turns": [{"by": "me"}]}]}
    table["at"] = pa.array(table["at"]).cast(
        pa.struct([("topic", pa.string()), ("turns", pa.large_list(pa.struct([("by", "string")])))])
    )
    rows = parquet(tmp_path, table, extra={"domain": "at.topic", "by": "at.turns.0.by"})
    assert extras(rows) == [{"domain": "x", "by": "me"}]
    with pytest.raises(PipelineError, match=r"data.extra: no field 'topik' on the way"):
        parquet(tmp_path, table, extra={"domain": "at.topik"})


def test_bytes_of_a_parquet_that_travel_along_are_text(tmp_path):
    table = {"source": ["a", "b"], "target": ["c", "d"], "topic": ["café".encode(), b"\xff"]}
    rows = parquet(tmp_path, table, extra={"domain": "topic"})
    assert extras(rows) == [{"domain": "café"}, {"domain": "\ufffd"}]


def test_a_record_with_several_sources_is_rejected(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for sources in (["a", "zzz"], ["c"]):
            writer.write(encode_example({"source": sources, "target": ["x", "y"]}))
    rows = read(path)
    assert told(rows) == [("several_sources", 1), ("c", "x", 2), ("c", "y", 2)]
    assert rows[0].detail == "expected one value of 'source', found 2"
