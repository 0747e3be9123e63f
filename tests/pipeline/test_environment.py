"""The lines of a job's secrets are read as systemd reads them, and never run."""

import os
from pathlib import Path

import pytest

from seq2seq_tfx.pipeline.environment import read_environment

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
