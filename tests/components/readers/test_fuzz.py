"""Any bytes at all: rows with a place each, or an error that names the file, and nothing else."""

import io
import struct
import tempfile
from pathlib import Path

import google_crc32c
import polib
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.readers.registry import READERS
from seq2seq_tfx.components.readers.rows import Pair

from .reading import PACKERS, read
from .test_documents import PO, TMX, XLIFF_1, XLIFF_2


def _parquet():
    written = io.BytesIO()
    pq.write_table(pa.table({"source": ["a", "b"] * 20, "target": ["x", None] * 20}), written)
    return written.getvalue()


def _tfrecord():
    example = b"\n\x1c\n\x0c\n\x06source\x12\x02\n\x00"
    length = struct.pack("<Q", len(example))

    def masked(data):
        crc = google_crc32c.value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    return (length + masked(length) + example + masked(example)) * 2


SEEDS = {
    "tsv": [b"source\ttarget\na\tb\n c \t d\r\n"],
    "csv": [b'source,target\na,"b\n""c"",d"\ne,f\n'],
    "tatoeba": [b"1\ta\t2\tb\n3\tc\t4\td\n"],
    "aligned": [b"a\nb\nc\n"],
    "jsonl": [b'{"source": "a", "target": ["b", "c"]}\n{"source": {"x": [1, "\\u00e9"]}}\n'],
    "parquet": [_parquet()],
    "tmx": [TMX.format(encoding=e).encode(e) for e in ("utf-8", "utf-16")],
    "xliff": [XLIFF_1.encode(), XLIFF_2.encode()],
    "gettext": [PO.encode()],
    "mo": [polib.pofile(PO).to_binary()],
    "tfrecord": [_tfrecord()],
}
PIECES = [
    b"\0", b"\xff", b"\xfe\xff", b"\r", b"\n", b"\t", b'"', b",", b"<", b">", b"&", b"]]>", b"<!--",
    b"<![CDATA[", b"\xef\xbb\xbf", b"{", b"[", b"\\", b"msgid", b"#~", b"\xed\xa0\x80", b"1e999",
]  # fmt: skip


def test_there_is_a_seed_of_every_format():
    assert {*READERS, "aligned", "mo"} == set(SEEDS)


@st.composite
def damaged(draw, seeds):
    """A good file with bytes changed, put in, left out, doubled or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 8))
        how = draw(st.sampled_from(["put", "flip", "leave out", "double", "cut"]))
        if how == "put":
            data[place:place] = draw(st.sampled_from(PIECES) | st.binary(max_size=8))
        elif how == "flip" and place < len(data):
            data[place] ^= draw(st.integers(1, 255))
        elif how == "leave out":
            del data[place : place + length]
        elif how == "double":
            data[place:place] = data[place : place + 4 * length]
        elif how == "cut":
            del data[place:]
    return bytes(data)


def check(data, file_format, name="file"):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        paths = [path] * (2 if file_format == "aligned" else 1)
        try:
            rows = read(*paths, format=file_format)
        except PipelineError as error:
            assert str(path) in str(error)  # noqa: PT017  either is right
            return
    for row in rows:
        assert row.file == str(path) and row.line >= 1
        if isinstance(row, Pair):
            assert row.source.strip() and row.target.strip() and "\0" not in row.source + row.target
            (row.source + row.target).encode()
        else:
            assert row.reason and row.detail and len(row.text) <= 200
            row.text.encode()
    if file_format in ("tsv", "tatoeba"):
        lines = data.removesuffix(b"\n").count(b"\n") + 1 if data else 0
        assert [row.line for row in rows] == list(range(1, lines + 1))


QUICK = settings(max_examples=100, deadline=None)
LONG = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("effort", [
    pytest.param(QUICK, id="quick"), pytest.param(LONG, id="long", marks=pytest.mark.slow),
])  # fmt: skip
@pytest.mark.parametrize("kind", SEEDS)
def test_a_damaged_file_gives_rows_or_an_error_that_names_it(kind, effort):
    file_format, name = ("gettext", "a.mo") if kind == "mo" else (kind, "file")

    @effort
    @given(damaged(SEEDS[kind]))
    def run(data):
        check(data, file_format, name)

    run()


@pytest.mark.parametrize("packer", [packer for packer in PACKERS if packer])
@QUICK
@given(data=st.data())
def test_a_damaged_compressed_file_gives_rows_or_an_error_that_names_it(packer, data):
    packed = PACKERS[packer](b"a\tb\n" * 500)
    check(data.draw(damaged([packed])), "jsonl", f"a{packer}")
