"""What a process begins with; a job's secrets are read as systemd reads them, and never run."""

import io
import os
import sys
import warnings
from glob import escape
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems

from seq2seq_tfx.pipeline.environment import prepare, read_environment

ADDRESS = "https://chat/?key=K&token=T;(x) $HOME `id`"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("HOOK", "OTHER"):
        monkeypatch.setenv(name, "before")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (f"HOOK={ADDRESS}", ADDRESS),
        ("  HOOK = a b  ", "a b"),
        ("HOOK=", ""),
        ("HOOK='a \\ \"b\"'", 'a \\ "b"'),
        ('HOOK="a \\"b\\" \\$c \\n"', 'a "b" $c \\n'),
        ("HOOK=a\\ b#c", "a b#c"),
        ("# HOOK=no\n; HOOK=no\n\nHOOK=a=b", "a=b"),
    ],
)  # fmt: skip
def test_a_value_is_what_stands_there(tmp_path, line, value):
    (tmp_path / "job.env").write_text(f"{line}\nOTHER=after\n")
    assert read_environment(tmp_path / "job.env") == []
    assert (os.environ["HOOK"], os.environ["OTHER"]) == (value, "after")


@pytest.mark.parametrize("line", ["export HOOK=secret", "HOOK='secret", "secret", "1HOOK=secret"])
def test_a_line_that_is_none_is_left_out_and_told_without_its_words(tmp_path, line):
    path = tmp_path / "job.env"
    path.write_text(f"# of the night\n{line}\nOTHER=after\n")
    assert read_environment(path) == [f"{path}:2: expected NAME=VALUE; the line is left out"]
    assert (os.environ["HOOK"], os.environ["OTHER"]) == ("before", "after")


def test_there_need_be_no_such_file():
    assert read_environment(Path("no/such.env")) == []


def test_a_folder_with_brackets_is_found_without_a_warning(tmp_path):
    (tmp_path / "[v2]").mkdir()
    (tmp_path / "[v2]" / "a").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare()
        (found,) = FileSystems.match([f"{escape(str(tmp_path / '[v2]'))}/*"])
    assert [Path(one.path).name for one in found.metadata_list] == ["a"]


def test_text_in_any_script_is_printed_whatever_the_locale(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "latin-1", write_through=True))
    prepare()
    print("語")
    assert written.getvalue() == "語\n".encode()
    monkeypatch.setattr(sys, "stdout", None)
    prepare()
