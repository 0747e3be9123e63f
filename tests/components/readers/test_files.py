"""Which files are read, whatever packs them, and what happens to damaged and hostile ones."""

import os
import random
import tempfile
import tracemalloc
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from seq2seq_tfx.components.data_config import AlignedInput, DataConfig, files_of
from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.readers.options import ReadingConfig
from seq2seq_tfx.components.readers.registry import ENDINGS, READERS, InputFile, read_pairs
from seq2seq_tfx.components.readers.rows import Rejected

from .reading import PACKERS, read, read_bytes, told

LINES = "".join(f"{i}\t{i * i}\n" for i in range(5000)).encode()


@pytest.mark.parametrize("packer", PACKERS)
def test_a_file_is_unpacked_by_the_ending_of_its_name(tmp_path, packer):
    rows = read_bytes(tmp_path, f"a.tsv{packer}", PACKERS[packer](LINES))
    assert told(rows) == [(str(i), str(i * i), i + 1) for i in range(5000)]


@pytest.mark.parametrize("packer", [packer for packer in PACKERS if packer])
def test_a_file_of_several_members_is_read_to_its_end(tmp_path, packer):
    data = b"".join(PACKERS[packer](line) for line in (b"a\tb\nc", b"\td\n", b"e\tf"))
    rows = read_bytes(tmp_path, f"a.tsv{packer}", data)
    assert told(rows) == [("a", "b", 1), ("c", "d", 2), ("e", "f", 3)]


@pytest.mark.parametrize("packer", [packer for packer in PACKERS if packer])
@pytest.mark.parametrize("damage", ["cut", "cut at its end", "changed", "not packed"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, packer, damage):
    whole = PACKERS[packer](LINES)
    middle = len(whole) // 2
    data = {
        "cut": whole[:middle],
        "cut at its end": whole[:-2],
        "changed": whole[:middle] + bytes(b ^ 255 for b in whole[middle:]),
        "not packed": LINES,
    }[damage]
    with pytest.raises(PipelineError, match=rf"a\.tsv{packer} cannot be read: "):
        read_bytes(tmp_path, f"a.tsv{packer}", data)


@pytest.mark.parametrize("packer", [packer for packer in PACKERS if packer])
def test_it_is_told_how_far_a_damaged_file_was_read_and_which_of_two_it_is(tmp_path, packer):
    drawn = random.Random(1)
    lines = "".join(f"{drawn.random()}\n" for _ in range(130_000)).encode()
    (tmp_path / f"cut{packer}").write_bytes(PACKERS[packer](lines)[:-1000])
    (tmp_path / "whole").write_bytes(lines)
    path = tmp_path / f"cut{packer}"
    with pytest.raises(
        PipelineError, match=rf"/cut\{packer} cannot be read: after [1-9][\d,]* rows"
    ):
        read(path, format="tsv")
    for paths in ((path, tmp_path / "whole"), (tmp_path / "whole", path)):
        with pytest.raises(
            PipelineError, match=rf"/cut\{packer} cannot be read: after [1-9][\d,]* li"
        ):
            read(*paths, format="aligned")


@pytest.mark.parametrize("packer", [".bz2", ".xz"])
def test_damage_at_any_byte_of_a_later_member_loses_no_row_silently(tmp_path, packer):
    first, second, third = (PACKERS[packer](line) for line in (b"a\tb\n", b"c\td\n", b"e\tf\n"))
    refused = 0
    for place in range(len(second)):
        damaged = bytes(b ^ 255 if i == place else b for i, b in enumerate(second))
        try:
            rows = read_bytes(tmp_path, f"a.tsv{packer}", first + damaged + third)
        except PipelineError:
            refused += 1
        else:  # of bzip2 a few bits say nothing
            assert told(rows) == [("a", "b", 1), ("c", "d", 2), ("e", "f", 3)]
    assert refused >= len(second) - 4


def test_xz_streams_may_be_padded_and_nothing_else_stands_after_them(tmp_path):
    padded = b"".join(PACKERS[".xz"](line) + bytes(4096) for line in (b"a\tb\n", b"c\td\n"))
    assert told(read_bytes(tmp_path, "a.tsv.xz", padded)) == [("a", "b", 1), ("c", "d", 2)]
    for data in (padded + b"x", b""):
        with pytest.raises(PipelineError, match=r"a\.tsv\.xz cannot be read: "):
            read_bytes(tmp_path, "a.tsv.xz", data)


@pytest.mark.parametrize("name", ["gone.tsv", "gone.po", "gone.parquet", "gone.tmx.gz"])
def test_a_file_that_is_gone_is_named(tmp_path, name):
    with pytest.raises(PipelineError, match=f"{name} cannot be read: "):
        read(tmp_path / name)


@contextmanager
def without_privileges():
    """Root may read everything, and is nobody for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_without_permission_is_named():
    # Not in `tmp_path`, whose folders are another's to nobody.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "a.tsv")
        path.write_text("a\tb\n")
        assert len(read(path)) == 1
        path.chmod(0)
        message = r"a\.tsv cannot be read: .*[Pp]ermission"
        with pytest.raises(PipelineError, match=message), without_privileges():
            read(path)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "aligned", "tatoeba"])
def test_a_line_of_100_megabytes_is_rejected_without_being_held(tmp_path, name):
    path = tmp_path / name
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\nx\n")
    config = ReadingConfig()
    if name == "aligned":
        (tmp_path / "other").write_text("a\nb\n")
        file = InputFile((str(path), str(tmp_path / "other")), "aligned")
    else:
        file = InputFile((str(path),), ENDINGS.get(path.suffix, name))
    tracemalloc.start()
    first, second = read_pairs(file, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first[:2] == ("long_line", "more than 1,048,576 bytes")
    assert (first.line, second.line) == (1, 2)
    assert peak < 12_000_000


HOSTILE = {
    "UTF-16": "a\tb\nc\td\n".encode("utf-16"),
    "carriage returns": b"a\tb\rc\td\re\tf\r",
    "nul": b"a\tb\0\n",
    "latin 1": "ä\tö\n".encode("latin-1"),
    "a lone quote": b'"a\tb\n',
    "braces": b"{\n",
    "control characters": bytes(range(1, 32)),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("file_format", [*READERS, "aligned"])
def test_foreign_bytes_give_rejections_or_an_error_that_names_the_file(tmp_path, file_format, what):
    (tmp_path / "bad").write_bytes(HOSTILE[what])
    paths = [tmp_path / "bad"] * (2 if file_format == "aligned" else 1)
    rows, error = [], None
    try:
        rows = read(*paths, format=file_format)
    except PipelineError as raised:
        error = str(raised)
    bad = [row for row in rows if isinstance(row, Rejected)]
    assert rows or (error and str(tmp_path / "bad") in error and "cannot be read" in error)
    assert all(row.reason and row.detail and row.file == str(tmp_path / "bad") for row in bad)


def found(tmp_path, given, **config):
    files = files_of(DataConfig(input=given, **config))
    return [([os.path.relpath(p, tmp_path) for p in file.paths], file.format) for file in files]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.tsv", "b.csv.gz", "c.TMX", "d.de-en.en", "d.de-en.de", "e.dat", "sub/f.tsv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def test_the_format_is_that_of_each_name_or_what_is_set(folder):
    assert found(folder, f"{folder}/[abc]*") == [
        (["a.tsv"], "tsv"), (["b.csv.gz"], "csv"), (["c.TMX"], "tmx"),
    ]  # fmt: skip
    assert found(folder, [f"{folder}/*.dat", f"{folder}/a*"], format="jsonl") == [
        (["e.dat"], "jsonl"), (["a.tsv"], "jsonl"),
    ]  # fmt: skip


def test_a_file_that_several_inputs_name_is_read_once(folder):
    assert found(folder, [f"{folder}/a.tsv", f"{folder}/*.tsv"]) == [(["a.tsv"], "tsv")]


def test_aligned_files_are_given_two_by_two(folder):
    pair = AlignedInput(source=f"{folder}/d*.en", target=f"{folder}/d*.de")
    assert found(folder, pair) == [(["d.de-en.en", "d.de-en.de"], "aligned")]


def test_inputs_may_be_given_for_each_split(folder):
    inputs = {"train": [f"{folder}/a.tsv", f"{folder}/sub/*"], "validation": f"{folder}/b*"}
    aligned = {"source": f"{folder}/d*.en", "target": f"{folder}/d*.de"}
    config = DataConfig(input={**inputs, "test": aligned})
    files = files_of(config.with_patterns(config.patterns))
    assert {os.path.basename(file.paths[0]): file.split for file in files} == {
        "a.tsv": "train", "f.tsv": "train", "b.csv.gz": "validation", "d.de-en.en": "test",
    }  # fmt: skip
    twice = DataConfig(input={**inputs, "test": f"{folder}/a*"})
    with pytest.raises(PipelineError, match=r"a\.tsv is given for train and for test"):
        files_of(twice)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input": {"train": "a", "test": "b"}}, "expected all of train, validation, test"),
        ({"input": "a", "splits": {"column": "x"}}, "expected a name of data.extra"),
        (
            {"input": dict.fromkeys(("train", "validation", "test"), "a"),
             "splits": {"column": "x"}, "extra": {"x": "x"}},
            "input gives the splits already",
        ),
    ],
)  # fmt: skip
def test_splits_are_given_once_and_whole(settings, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**settings)


@pytest.mark.parametrize(
    ("given", "config", "message"),
    [
        ("{}/none*.tsv", {}, "data.input: expected a file, found none at '{}/none*.tsv'"),
        ("{}/e.dat", {}, "data.format: the name of {}/e.dat tells no format; set one, or "),
        ("nowhere://x/y.tsv", {}, "data.input: 'nowhere://x/y.tsv' cannot be looked up: "),
        ("{}/a.tsv", {"format": "aligned"}, "data.input: aligned files come two by two: "),
        (
            AlignedInput(source="{}/*.en", target="{}/*.*"), {},
            "data.input: '{}/*.en' matches 1 files and '{}/*.*' 6; expected as many",
        ),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_are_told(folder, given, config, message):
    if isinstance(given, AlignedInput):
        given = AlignedInput(**{k: v.format(folder) for k, v in given.model_dump().items()})
    else:
        given = given.format(folder)
    with pytest.raises(PipelineError) as caught:
        files_of(DataConfig(input=given, **config))
    assert str(caught.value).startswith(message.replace("{}", str(folder)))


def test_a_file_whose_name_is_not_utf8_is_told(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.tsv")).write_bytes(LINES)
    with pytest.raises(PipelineError, match=r"expected names in UTF-8 at .*, found .*caf\\udce9"):
        files_of(DataConfig(input=f"{tmp_path}/*.tsv"))


def test_reading_stops_where_nobody_asks_for_more(tmp_path):
    (tmp_path / "a.tsv").write_bytes(LINES)
    rows = read_pairs(InputFile((str(tmp_path / "a.tsv"),), "tsv"), ReadingConfig())
    assert told(islice(rows, 1)) == [("0", "0", 1)]
