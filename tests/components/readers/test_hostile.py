"""The same damage in every format: rows with a reason, or an error that names the file."""

import io
import json
import os
import tempfile
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.example_files import encode_example
from seq2seq_tfx.components.readers.registry import READERS
from seq2seq_tfx.components.readers.rows import Pair

from .reading import PACKERS, read
from .test_files import without_privileges


def _jsonl(source):
    sides = {"target": "b"} if source is None else {"source": source, "target": "b"}
    return json.dumps(sides).encode()


def _parquet(source):
    written = io.BytesIO()
    pq.write_table(pa.table({"source": pa.array([source], pa.string()), "target": ["b"]}), written)
    return written.getvalue()


def _tfrecord(source):
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            sides = {"source": [source]} if source is not None else {}
            writer.write(encode_example({**sides, "target": ["b"]}))
        return Path(file.name).read_bytes()


def _tmx(source):
    side = "" if source is None else f'<tuv xml:lang="en"><seg>{source}</seg></tuv>'
    return (
        f'<tmx version="1.4"><header srclang="en"/><body><tu>{side}'
        '<tuv xml:lang="de"><seg>b</seg></tuv></tu></body></tmx>'
    ).encode()


def _xliff(source):
    side = "" if source is None else f"<source>{source}</source>"
    return (
        f'<xliff version="1.2"><file><body><trans-unit id="1">{side}<target>b</target>'
        "</trans-unit></body></file></xliff>"
    ).encode()


# Each format with a source and the target "b"; None leaves the source out.
FORMATS = {
    "tsv": lambda source: ("b\n" if source is None else f"{source}\tb\n").encode(),
    "csv": lambda source: ("b\n" if source is None else f"{source},b\n").encode(),
    "tatoeba": lambda source: ("1\t2\tb\n" if source is None else f"1\t{source}\t2\tb\n").encode(),
    "jsonl": _jsonl,
    "parquet": _parquet,
    "tmx": _tmx,
    "xliff": _xliff,
    "gettext": lambda source: f'msgid "{source or ""}"\nmsgstr "b"\n'.encode(),
    "tfrecord": _tfrecord,
}
TEXT = ["tsv", "csv", "tatoeba", "jsonl", "tmx", "xliff", "gettext"]


def rows_of(folder, file_format, data, ending=""):
    path = folder / f"a{ending}"
    path.write_bytes(data)
    if file_format == "tmx":
        languages = {"source": "en", "target": "de"}
        return read(path, format=file_format, languages=languages)
    return read(path, format=file_format)


def test_every_format_is_here_and_reads():
    assert set(FORMATS) == set(READERS)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_good_row_is_a_pair(tmp_path, file_format):
    (row,) = rows_of(tmp_path, file_format, FORMATS[file_format]("a"))
    assert isinstance(row, Pair) and (row.source, row.target) == ("a", "b")


@pytest.mark.parametrize("file_format", TEXT)
def test_a_byte_order_mark_is_no_text(tmp_path, file_format):
    (row,) = rows_of(tmp_path, file_format, b"\xef\xbb\xbf" + FORMATS[file_format]("a"))
    assert (row.source, row.target) == ("a", "b")


@pytest.mark.parametrize("file_format", [name for name in FORMATS if name != "gettext"])
def test_a_row_without_a_source_is_rejected(tmp_path, file_format):
    (row,) = rows_of(tmp_path, file_format, FORMATS[file_format](None))
    assert row.reason in ("missing_source", "wrong_field_count") and row.line == 1


@pytest.mark.parametrize("packer", [packer for packer in PACKERS if packer])
@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_is_unpacked_and_an_error_if_it_is_cut_or_empty(tmp_path, file_format, packer):
    packed = PACKERS[packer](FORMATS[file_format]("a" * 100))
    (row,) = rows_of(tmp_path, file_format, packed, packer)
    assert (row.source, row.target) == ("a" * 100, "b")
    for cut in (packed[:-9], b""):
        with pytest.raises(PipelineError, match=rf"a\{packer} cannot be read: "):
            rows_of(tmp_path, file_format, cut, packer)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_pipe_is_refused_and_never_waited_for(tmp_path, file_format):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PipelineError, match="pipe cannot be read: expected a file, found a pipe"):
        read(tmp_path / "pipe", format=file_format)


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_extra_column_that_no_row_of_a_file_has_is_an_error(tmp_path, file_format):
    path = tmp_path / "a"
    path.write_bytes(FORMATS[file_format]("a"))
    config = {"languages": {"source": "en", "target": "de"}} if file_format == "tmx" else {}
    if file_format in ("tsv", "csv"):
        config["columns"] = {"source": 1, "target": 2}
    if file_format == "tatoeba":
        return  # `data` refuses it before any file is read
    with pytest.raises(PipelineError, match=r"/a:?1? cannot be read: data\.extra: .*'typo'"):
        read(path, format=file_format, extra={"domain": "typo"}, **config)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_without_permission_is_an_error(file_format):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "a")
        path.write_bytes(FORMATS[file_format]("a"))
        path.chmod(0)
        with pytest.raises(PipelineError, match=f"{path} cannot be read: "), without_privileges():
            read(path, format=file_format)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["parquet", "tmx", "xliff", "gettext", "tfrecord"])
def test_a_side_of_100_megabytes_is_rejected_or_an_error(tmp_path, file_format):
    data = FORMATS[file_format]("x" * 100_000_000)
    tracemalloc.start()
    if file_format in ("gettext", "tfrecord"):
        with pytest.raises(PipelineError, match=f"{tmp_path}/a cannot be read: "):
            rows_of(tmp_path, file_format, data)
    else:
        (row,) = rows_of(tmp_path, file_format, data)
        assert row.reason == "long_source"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Parquet has its cells whole, here and in a copy; the others hold no more than they keep.
    assert peak < (500_000_000 if file_format == "parquet" else 20_000_000)
