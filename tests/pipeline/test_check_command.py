"""The promises of `seq2seq data check`: what it prints, writes and returns."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from seq2seq_tfx.pipeline import cli
from seq2seq_tfx.pipeline.check_command import check_config
from seq2seq_tfx.pipeline.config_file import ConfigurationError


@pytest.fixture(autouse=True)
def _data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.tsv").write_text("one\teins\ntwo\n\tdrei\none\teins\nfour\tvier 4\n")


def check(*arguments):
    return CliRunner().invoke(cli.main, ["data", "check", *arguments], catch_exceptions=False)


def lines_of(path):
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_it_says_what_was_read_kept_and_rejected():
    result = check("a.tsv")
    assert result.exit_code == 0, result.stderr
    assert "pairs: 5 read, 3 kept, 2 rejected" in result.stdout
    assert "a.tsv:3: no text" in result.stdout
    assert sorted(Path().iterdir()) == [Path("a.tsv")]


def test_an_output_may_begin_with_what_begins_a_pattern():
    result = check("a.tsv", "--output", "[v2] ü")
    assert result.exit_code == 0, result.stderr
    assert len(lines_of("[v2] ü/kept.jsonl")) == 3


def test_what_is_checked_is_never_replaced():
    Path("out").mkdir()
    for name in ("kept.jsonl", "rejected.jsonl"):
        given = Path("out", name)
        given.write_text('{"source": "one", "target": "eins"}\n' * 2)
        before = given.read_bytes()
        result = check(str(given), "--output", "out")
        assert result.exit_code == 1 and f"{name} would replace" in result.stderr
        assert given.read_bytes() == before


@pytest.mark.slow
@pytest.mark.modern
def test_json_is_one_object_and_what_was_kept_and_rejected_lies_in_the_output():
    Path("job.yaml").write_text("data: {cleaning: [{filter: duplicates}, {filter: numbers}]}\n")
    result = check("a.tsv", "--config", "job.yaml", "--json", "--output", "out")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    rejected = {"duplicate": 1, "empty_source": 1, "numbers_differ": 1, "wrong_field_count": 1}
    assert (told["read"], told["kept"], told["rejected"]) == (5, 1, rejected)
    assert json.loads(Path("out/report.json").read_text()) == told
    place = {"file": str(Path("a.tsv").absolute()), "line": 1}
    assert lines_of("out/kept.jsonl") == [{"source": "one", "target": "eins", **place}]
    assert sorted(row["line"] for row in lines_of("out/rejected.jsonl")) == [2, 3, 4, 5]
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "kept.jsonl", "rejected.jsonl", "report.html", "report.json",
    ]  # fmt: skip
    # What was kept can be read again, and of spans the newest is read.
    Path("day-1.jsonl").write_text("not this one\n")
    Path("out/kept.jsonl").rename("day-2.jsonl")
    again = json.loads(check("day-{SPAN}.jsonl", "--json").stdout)
    assert (again["read"], again["kept"]) == (1, 1)
    assert again["files"] == [str(Path("day-2.jsonl").absolute())]


@pytest.mark.slow
@pytest.mark.parametrize("error", [False, True])
def test_nothing_of_the_users_is_deleted_and_nothing_of_ours_left(error):
    Path("out/scratch").mkdir(parents=True)
    Path("out/scratch/theirs.txt").write_text("theirs")
    Path("cut.tsv.gz").write_bytes(b"\x1f\x8b\x08")
    result = check("cut.tsv.gz" if error else "a.tsv", "--output", "out")
    assert result.exit_code == (1 if error else 0)
    assert Path("out/scratch/theirs.txt").read_text() == "theirs"
    written = [] if error else ["kept.jsonl", "rejected.jsonl", "report.html", "report.json"]
    assert sorted(path.name for path in Path("out").iterdir()) == [*written, "scratch"]


@pytest.mark.slow
def test_where_nothing_was_kept_the_exit_code_says_so():
    Path("bad.tsv").write_text("one\ntwo\n")
    result = check("bad.tsv", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["rejected"] == {"wrong_field_count": 2}
    assert result.stderr.endswith("error: no pair was kept\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "expected INPUT... or --config"),
        (["a.tsv", "--against", "a.tsv"], 2, "a.tsv: expected report.json of an earlier "),
        (["none.tsv"], 1, "data.input: expected a file, found none at "),
        (["a.xyz"], 1, "data.input: expected a file, found none at "),
        (["cut.tsv.gz"], 1, "cut.tsv.gz cannot be read: "),
        (["a.tsv", "--format", "xml"], 2, "data.format: expected 'auto', 'tsv', "),
        (["--config", "none.yaml"], 2, "none.yaml: cannot be read: "),
        (
            ["--config", "bad.yaml"], 2,
            "bad.yaml:2: data.cleaning.0.length.mx: unknown key; expected one of: filter, max, ",
        ),
        (
            ["--config", "bad.yaml"], 2,
            "bad.yaml:2: data.cleaning.1.filter: expected one of: 'normalize', ",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(arguments, code, message):
    Path("cut.tsv.gz").write_bytes(b"\x1f\x8b\x08")
    Path("bad.yaml").write_text(
        "data: {input: a.tsv,\n cleaning: [{filter: length, mx: 3}, {filter: lenght}]}\n"
    )
    result = check(*arguments)
    assert result.exit_code == code
    assert message in result.stderr and result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_two_files_of_unknown_kind_are_aligned():
    Path("a.en").write_text("one\ntwo\n")
    Path("a.de").write_text("eins\nzwei\n")
    assert json.loads(check("a.en", "a.de", "--json").stdout)["kept"] == 2
    told = check("a.en", "a.de", "--format", "tsv", "--json")
    assert json.loads(told.stdout)["rejected"] == {"wrong_field_count": 4}


def test_the_command_line_goes_before_the_file():
    Path("job.yaml").write_text("data: {input: b.tsv, format: csv, max_characters: 7}\nother: 1\n")
    config = check_config(Path("job.yaml"), ["a.tsv"], {"format": "tsv"})
    assert (config.data.patterns, config.data.format) == ([str(Path("a.tsv").absolute())], "tsv")
    assert config.data.max_characters == 7
    Path("empty.yaml").write_text("name: x\n")
    with pytest.raises(ConfigurationError, match=r"^data\.format: .*received 'x'"):  # of no line
        check_config(Path("job.yaml"), [], {"format": "x"})
    with pytest.raises(ConfigurationError, match="data: expected keys and values"):
        check_config(Path("empty.yaml"), [], {})


@pytest.mark.slow
def test_a_damaged_file_is_told_in_a_sentence():
    Path("cut.tsv.gz").write_bytes(gzip.compress(b"a\tb\n" * 1000)[:-9])
    command = Path(sys.executable).with_name("seq2seq")
    done = subprocess.run([command, "data", "check", "cut.tsv.gz"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: {Path('cut.tsv.gz').absolute()} cannot be read: Compressed")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_it_does_not_wait_for_tfx_or_tensorflow():
    code = (
        "import sys; sys.argv[1:] = ['data', 'check', 'a.tsv', '--json'];"
        "from seq2seq_tfx.pipeline.cli import main; main(standalone_mode=False);"
        "print({'tensorflow', 'tfx', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "set()"


@pytest.mark.slow
def test_pairs_are_compared_with_those_of_an_earlier_check():
    check("a.tsv", "--output", "before")
    Path("job.yaml").write_text("data: {}\ndata_validation: {max_drift: {vocabulary: 0.5}}\n")
    Path("b.tsv").write_text("one\teins\nuno\tuna cosa\nfour\tvier 4\n")
    against = ("--config", "job.yaml", "--against", "before/report.json")
    assert check("a.tsv", *against).exit_code == 0
    other = check("b.tsv", *against)
    assert "drift of vocabulary: 0." in other.stdout and other.exit_code == 0
    Path("b.tsv").write_text("due\tzwei\n")
    other = check("b.tsv", *against)
    assert other.exit_code == 3
    assert "data_validation.max_drift.vocabulary: found 1, at most 0.5" in other.stderr
    assert "'due', source: 0.00%, now 100.00%" in other.stderr


ALWAYS = "type: BYTES presence { min_fraction: 1 min_count: 1 }"
SCHEMA = f"""
feature {{ name: "source" {ALWAYS} shape {{ dim {{ size: 1 }} }} }}
feature {{ name: "target" {ALWAYS} shape {{ dim {{ size: 1 }} }} }}
feature {{ name: "references" {ALWAYS} value_count {{ min: 1 }} }}
feature {{ name: "topic" {ALWAYS} shape {{ dim {{ size: 1 }} }} domain: "topics" }}
string_domain {{ name: "topics" value: "news" value: "%s" }}
"""


@pytest.mark.slow
@pytest.mark.modern
def test_a_curated_schema_is_a_limit_as_in_a_run():
    rows = [f"word {i}\tWort {i}\t{'talks' if i % 9 else 'news'}\n" for i in range(60)]
    Path("c.tsv").write_text("source\ttarget\ttopic\n" + "".join(rows))
    data = "data: {input: c.tsv, extra: {topic: topic}, splits: {train: 1, validation: 1, test: 1}}"
    Path("job.yaml").write_text(f"{data}\ndata_validation: {{schema_file: s.pbtxt}}\n")
    Path("s.pbtxt").write_text(SCHEMA % "talks")
    result = check("--config", "job.yaml", "--output", "out")
    assert result.exit_code == 0, result.stderr
    Path("s.pbtxt").write_text(SCHEMA % "letters")
    result = check("--config", "job.yaml", "--output", "out")
    assert result.exit_code == 3
    assert "data_validation.schema_file: found 3, at most 0" in result.stderr
    assert "topic in test: Examples contain values missing from the schema: talks" in result.stderr
    (breach,) = json.loads(Path("out/report.json").read_text())["breaches"]
    assert breach["limit"] == "schema_file"
    again = check("--config", "job.yaml", "--output", "[out]")
    assert again.exit_code == 3 and "found 3, at most 0" in again.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "kept.jsonl", "rejected.jsonl", "report.html", "report.json",
    ]  # fmt: skip


def test_a_schema_that_is_none_is_told_with_its_line():
    Path("s.pbtxt").write_text("feature {")
    Path("job.yaml").write_text("data: {input: a.tsv}\ndata_validation: {schema_file: s.pbtxt}\n")
    with pytest.raises(ConfigurationError, match=r"job\.yaml:2: data_validation\.schema_file: "):
        check_config(Path("job.yaml"), [], {})


@pytest.mark.slow
def test_a_runner_that_is_not_used_is_told():
    Path("job.yaml").write_text(
        "data: {input: a.tsv}\nrunner: {beam: {runner: multi_processing, workers: 2}}\n"
    )
    result = check("--config", "job.yaml")
    assert result.exit_code == 0, result.stderr
    assert "runner.beam: multi_processing is for runs; here Beam runs in this proc" in result.stdout
