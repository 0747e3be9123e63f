"""Debian's package descriptions: which are kept, how they are cut, and what apt is asked for."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from seq2seq_tfx.pipeline.datasets import (
    DataUnavailable,
)
from seq2seq_tfx.pipeline.datasets import debian_descriptions as debian
from seq2seq_tfx.pipeline.datasets.common import sha256

from .obtained import Run

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
