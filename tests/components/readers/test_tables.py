"""TSV with columns, CSV, Tatoeba's exports and aligned files."""

import csv
import io
import random
import re

import pytest

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.readers.rows import Pair

from .reading import extras, read, read_bytes, told


def test_columns_of_a_tsv_are_found_by_number_or_by_name(tmp_path):
    data = b"id\ten\tde\n1\tone\teins\n2\ttwo\tzwei\n3\tthree\n"
    by_name = {"source": "en", "target": "de"}
    rows = read_bytes(tmp_path, "a.tsv", data, columns=by_name, extra={"key": "id"})
    assert told(rows) == [("one", "eins", 2), ("two", "zwei", 3), ("wrong_field_count", 4)]
    assert extras(rows[:2]) == [{"key": "1"}, {"key": "2"}]
    by_number = {"source": 3, "target": 2}
    rows = read(tmp_path / "a.tsv", columns=by_number)
    assert told(rows)[:2] == [("de", "en", 1), ("eins", "one", 2)]
    assert told(read(tmp_path / "a.tsv", columns=by_number, header=True))[0] == ("eins", "one", 2)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_missing_column_is_an_error_that_says_what_there_is(tmp_path, name):
    data = b"en\tde\n" if name == "a.tsv" else b"en,de\n"
    with pytest.raises(PipelineError, match=r"a\...v:1 .*no column 'fr' in the header: en, de"):
        read_bytes(tmp_path, name, data, columns={"source": "en", "target": "fr"})
    with pytest.raises(PipelineError, match="names need a header"):
        read(tmp_path / name, columns={"source": "en", "target": "de"}, header=False)


@pytest.mark.parametrize("columns", [{"source": 1, "target": 2}, {"source": "é", "target": "x"}])
@pytest.mark.parametrize(
    ("name", "header"),
    [("a.tsv", b"\xe9\tx"), ("a.csv", b"\xe9,x"), ("a.csv", b'"a"b,x'), ("a.tsv", b"\xc3\xa9\rx")],
)
def test_no_row_stands_in_for_a_header_that_is_none(tmp_path, name, header, columns):
    data = header + (b"\na\tb\n" if name == "a.tsv" else b"\na,b\n")
    with pytest.raises(
        PipelineError, match=r"a\...v:1 .*: a header is asked for, and its first row"
    ):
        read_bytes(tmp_path, name, data, columns=columns, header=True)


@pytest.mark.parametrize("extra", [{}, {"topic": "en"}])
def test_two_columns_of_a_name_are_an_error(tmp_path, extra):
    columns = {} if extra else {"columns": {"source": "en", "target": "de"}}
    header = b"en,source,target,en\n" if extra else b"en,de,en\n"
    with pytest.raises(PipelineError, match=r"a\.csv:1 .*: two columns 'en' in the header: en, "):
        read_bytes(tmp_path, "a.csv", header + b"a,b,c,d\n", extra=extra, **columns)


def test_csv_is_read_as_the_standard_library_writes_it(tmp_path):
    generator = random.Random(1)
    cells = [
        "x" + "".join(generator.choices('ab,;"\n\r\t é', k=generator.randint(0, 8))) + "x"
        for _ in range(2000)
    ]
    pairs = list(zip(cells[::2], cells[1::2], strict=True))
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("target", "source"), *((b, a) for a, b in pairs)])
    rows = read_bytes(tmp_path, "a.csv", written.getvalue().encode())
    # A line break within a cell is one, however it was written.
    expected = [tuple(re.sub("\r+\n", "\n", side) for side in pair) for pair in pairs]
    assert [(row.source, row.target) for row in rows] == expected


def test_a_csv_without_a_header_has_two_columns(tmp_path):
    rows = read_bytes(tmp_path, "a.csv", b"one,eins\n\ntwo\nthree,drei,x\n")
    wrong = "wrong_field_count"
    assert told(rows) == [("one", "eins", 1), ("empty_line", 2), (wrong, 3), (wrong, 4)]
    rows = read_bytes(tmp_path, "b.csv", b'a;"b;c"\n', delimiter=";")
    assert told(rows) == [("a", "b;c", 1)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # Never closed: only its own line is lost.
        (['"a,b', "c,d", "e,f"], [("malformed", 1), ("c", "d", 2), ("e", "f", 3)]),
        # Closed by another stray one further down.
        (
            ["a,b", 'c,"d', "e,f", 'g,"h', "i,j"],
            [("a", "b", 1), ("malformed", 2), ("e", "f", 3), ("malformed", 4), ("i", "j", 5)],
        ),
        # In the middle of a cell a quote is a character.
        (['5" disk,x', "c,d"], [('5" disk', "x", 1), ("c", "d", 2)]),
        (['"a"b,c', "c,d"], [("malformed", 1), ("c", "d", 2)]),
        # A bad line within what is quoted ends it.
        (['"a', "\0", "c,d"], [("malformed", 1), ("nul_byte", 2), ("c", "d", 3)]),
        (['"a', "c,d"] + ["e,f"] * 3000, [("malformed", 1), ("c", "d", 2)]),
    ],
)
def test_an_unbalanced_quote_costs_its_own_line_and_no_other(tmp_path, lines, expected):
    rows = told(read_bytes(tmp_path, "a.csv", "\n".join(lines).encode()))
    assert rows[: len(expected)] == expected
    assert len(rows) == len(lines)


def test_exports_of_tatoeba_are_read_with_their_ids(tmp_path):
    data = "\ufeff1276\tLet's try.\t77\tVersuchen wir's!\n1\ta\t2\n".encode()
    extra = {"key": "source_id"}
    rows = read_bytes(tmp_path, "a.tsv", data, format="tatoeba", extra=extra)
    assert told(rows) == [("Let's try.", "Versuchen wir's!", 1), ("wrong_field_count", 2)]
    assert extras(rows[:1]) == [{"key": "1276"}]


def aligned(tmp_path, source, target):
    (tmp_path / "a.en").write_bytes(source)
    (tmp_path / "a.de").write_bytes(target)
    return read(tmp_path / "a.en", tmp_path / "a.de", format="aligned")


def test_aligned_files_are_read_line_by_line(tmp_path):
    rows = aligned(tmp_path, b"one\ntwo\n\nfour\r\n\n6\n7", b"eins\n\n\nv\xffer\n5\n6\rx\n7\n")
    assert told(rows) == [
        ("one", "eins", 1), ("empty_target", 2), ("empty_line", 3), ("invalid_utf8", 4),
        ("empty_source", 5), ("carriage_return", 6), ("7", "7", 7),
    ]  # fmt: skip
    assert isinstance(rows[0], Pair) and rows[0].file.endswith("a.en")
    assert rows[3].file.endswith("a.de")


@pytest.mark.parametrize("target", [b"1\n2", b"1\n2\n3\n4\n", b""])
def test_aligned_files_of_unequal_length_are_refused_with_both_lengths(tmp_path, target):
    length = target.count(b"\n") + bool(target and not target.endswith(b"\n"))
    with pytest.raises(PipelineError, match=rf"this one has 3 and .*a\.de {length}$"):
        aligned(tmp_path, b"1\n2\n3\n", target)


def test_a_carriage_return_within_a_line_of_tatoebas_is_rejected(tmp_path):
    rows = read_bytes(tmp_path, "a", b"1\ta\t2\tb\rxx\n3\tc\t4\td\r\n", format="tatoeba")
    assert told(rows) == [("carriage_return", 1), ("c", "d", 2)]


@pytest.mark.parametrize("settings", [{}, {"delimiter": ";"}])
def test_a_spreadsheet_tells_what_separates_its_cells(tmp_path, settings):
    content = b"\xef\xbb\xbfsep=;\r\nid;source;target\r\n1;a,b;c\r\nsep=;;\r\n"
    columns = {"source": "source", "target": "target"}
    rows = read_bytes(tmp_path, "a.csv", content, columns=columns, **settings)
    assert told(rows) == [("a,b", "c", 3), ("empty_source", 4)]


def test_a_long_cell_of_a_csv_is_as_good_as_any(tmp_path):
    long = "x" * 200_000  # Python's own limit is 131,072
    data = f'"{long}",b\na,{long}\n'.encode()
    rows = read_bytes(tmp_path, "a.csv", data, max_characters=200_000)
    assert told(rows) == [(long, "b", 1), ("a", long, 2)]
    assert told(read(tmp_path / "a.csv")) == [("long_source", 1), ("long_target", 2)]


def test_a_column_beyond_the_header_is_told_by_how_many_fields_it_takes(tmp_path):
    columns = {"source": 1, "target": 5}
    rows = read_bytes(tmp_path, "a.tsv", b"a\tb\n1\t2\n", columns=columns, header=True)
    assert [row.detail for row in rows] == ["expected at least 5 tab-separated fields, found 2"]
