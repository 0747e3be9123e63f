"""The promises of reading: every line becomes one pair or one rejection that says why."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.readers import pieces
from seq2seq_tfx.components.readers.files import lines_of
from seq2seq_tfx.components.readers.options import ReadingConfig
from seq2seq_tfx.components.readers.registry import InputFile, read_pairs
from seq2seq_tfx.components.readers.rows import Pair, Rejected
from seq2seq_tfx.components.readers.tsv import read_tsv

LIMIT = 2000


def read(data: bytes, limit: int = LIMIT):
    return list(read_tsv(io.BytesIO(data), "f.tsv", ReadingConfig(max_characters=limit)))


class Trickle:
    """A stream that gives its bytes in the pieces it was made of, whatever is asked for."""

    def __init__(self, pieces):
        self._pieces = [piece for piece in pieces if piece]

    def read(self, size):
        return self._pieces.pop(0) if self._pieces else b""


@pytest.mark.parametrize(
    ("bad", "reason", "detail"),
    [
        (b"alone", "wrong_field_count", "expected 2 tab-separated fields, found 1"),
        (b"a\tb\tc", "wrong_field_count", "expected 2 tab-separated fields, found 3"),
        (b"a\tb\t", "wrong_field_count", "expected 2 tab-separated fields, found 3"),
        (b"\tb", "empty_source", "no text"),
        (b" \xc2\xa0\tb", "empty_source", "no text"),
        (b"a\t", "empty_target", "no text"),
        (b"", "empty_line", "no text"),
        (b" \t\t ", "empty_line", "no text"),
        (b"a\tb\xff", "invalid_utf8", "at byte 4"),
        (b"\xed\xa0\x80\tb", "invalid_utf8", "at byte 1"),  # a surrogate on its own
        (b"a\tb\xc3", "invalid_utf8", "at byte 4"),  # cut within a character
        (b"a\0\tb", "nul_byte", "at byte 2"),
        (b"w " * 10_000 + b"\tb", "long_source", "19999 characters, the limit is 2000"),
        (b"a\t" + b"w " * 10_000, "long_target", "19999 characters, the limit is 2000"),
    ],
)
def test_a_bad_line_gives_one_rejection_with_reason_detail_and_place(bad, reason, detail):
    first, rejected, last = read(b"x\ty\n" + bad + b"\nz\tw\n")
    assert (first, last) == (Pair("x", "y", "f.tsv", 1), Pair("z", "w", "f.tsv", 3))
    assert isinstance(rejected, Rejected)
    assert rejected[:4] == (reason, detail, "f.tsv", 2)
    assert rejected.text == bad.decode("utf-8", "backslashreplace")[:200]


@pytest.mark.parametrize(
    "data",
    [
        b"a\tb\nc\td\n",
        b"a\tb\nc\td",  # no end of the last line
        b"a\tb\r\nc\td\r\n",
        b"a\tb\r\nc\td\r",
        b"\xef\xbb\xbfa\tb\nc\td\n",
        b"\xef\xbb\xbfa\tb\r\nc\td",
        b" a\tb \n\xc2\xa0c\t d\xe3\x80\x80\n",  # white space around a side is not text
    ],
)
def test_what_editors_and_systems_add_is_not_text(data):
    assert read(data) == [Pair("a", "b", "f.tsv", 1), Pair("c", "d", "f.tsv", 2)]


def test_a_byte_order_mark_is_one_on_the_first_line_only():
    mark = b"\xef\xbb\xbf"
    assert [row.source for row in read(mark + b"a\tb\n" + mark + b"c\td\n")] == ["a", "\ufeffc"]


def test_a_side_as_long_as_the_limit_is_kept_and_counted_in_characters():
    kept, rejected = read("éü字\tb\néü字x\tb\n".encode(), limit=3)
    assert kept == Pair("éü字", "b", "f.tsv", 1)
    assert rejected[:2] == ("long_source", "4 characters, the limit is 3")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.builds(lambda a, b: f"{a}\t{b}".encode(), *2 * [st.text("aé\u2028 \r", max_size=4)]),
            st.sampled_from([b"\n", b"\r\n", b"\t", b"\0", b"a\tb", b"\xef\xbb\xbf"]),
        ),
        max_size=12,
    ).map(b"\n".join)
)
def test_any_bytes_give_a_row_for_each_line_in_order(data):
    lines = data.split(b"\n")
    lines = lines if lines[-1] else lines[:-1]
    rows = read(data)
    assert [row.line for row in rows] == list(range(1, len(lines) + 1))
    for row, line in zip(rows, lines, strict=True):
        if isinstance(row, Pair):
            text = line.decode()
            assert row.source and row.target
            assert text.strip().removeprefix("\ufeff").split("\t")[0].strip() == row.source
            assert text.split("\t")[1].strip() == row.target
        else:
            assert row.reason and row.detail and len(row.text) <= 200


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=5) | st.sampled_from([b"\n", b"\n\n", b"a\n", b"\r"])))
def test_lines_do_not_depend_on_how_the_bytes_come(pieces):
    expected = b"".join(pieces).split(b"\n")
    assert list(lines_of(Trickle(pieces), 1000)) == (expected if expected[-1] else expected[:-1])


def test_a_line_longer_than_a_block_stays_whole():
    data = b"a" * ((1 << 20) - 1) + b"\n" + b"b" * (1 << 21) + b"\nc"
    assert list(lines_of(io.BytesIO(data), 1 << 22)) == data.split(b"\n")


def test_pieces_of_a_file_give_the_rows_of_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_BYTES", 50)
    path = str(tmp_path / "a.tsv")
    config = ReadingConfig(max_characters=60)
    lines = [
        "one\teins",
        "bad",
        "",
        "x\t" + "y" * 70,
        "zwei\r\ttwo",
        "é\tè",
        "a\t\0",
        "last\tletzte",
    ]
    for end in ("\n", ""):
        Path(path).write_bytes(("\ufeff" + "\n".join(lines * 5) + end).encode())
        cut = pieces.pieces_of(path, "tsv", config)
        assert len(cut) > 3
        file = InputFile((path,), "tsv")
        together = [row for piece in cut for row in read_pairs(file, config, piece)]
        assert together == list(read_pairs(file, config))
        assert [row.line for row in together] == list(range(1, len(together) + 1))


def test_a_file_that_becomes_shorter_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_BYTES", 8)
    path = tmp_path / "a.tsv"
    path.write_text("one\teins\n" * 9)
    last = pieces.pieces_of(str(path), "tsv", ReadingConfig())[-1]
    path.write_text("one\teins\n" * 4)
    with pytest.raises(PipelineError, match=r"a\.tsv cannot be read: it has become shorter"):
        list(read_pairs(InputFile((str(path),), "tsv"), ReadingConfig(), last))


@pytest.mark.parametrize("config", [{"header": True}, {"columns": {"source": 1, "target": 2}}])
def test_a_table_whose_header_counts_is_not_cut(tmp_path, config, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_BYTES", 8)
    path = tmp_path / "a.tsv"
    path.write_text("one\teins\n" * 9)
    assert len(pieces.pieces_of(str(path), "tsv", ReadingConfig())) > 1
    assert pieces.pieces_of(str(path), "tsv", ReadingConfig(**config)) == [None]
