"""The promises of code digests: a change of the code a component runs is seen, no other."""

import itertools

import pytest

from seq2seq_tfx.components.code_digest import code_digest

SOURCES = {
    "__init__.py": "",
    "low/__init__.py": "",
    "low/contract.py": "IDS = 0\n",
    "low/unused.py": "",
    "high/__init__.py": "",
    "high/reader.py": "from ..low.contract import IDS\n",
    "high/metric.py": "",
    "high/component.py": (
        "import os\nfrom . import metric\ndef run():\n    from .reader import IDS  # deep inside\n"
    ),
}
numbers = itertools.count()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder and name of a package that no other test has imported."""
    name = f"digested_{next(numbers)}"
    for path, source in SOURCES.items():
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / name, name


@pytest.mark.parametrize(
    "changed", ["high/component.py", "high/metric.py", "high/reader.py", "low/contract.py"]
)
def test_a_change_of_what_is_imported_however_deep_is_seen(package, changed):
    folder, name = package
    before = code_digest(f"{name}.high.component")
    original = (folder / changed).read_text()
    (folder / changed).write_text(original + "# a change\n")
    assert code_digest(f"{name}.high.component") != before
    (folder / changed).write_text(original)
    assert code_digest(f"{name}.high.component") == before


@pytest.mark.parametrize("changed", ["low/unused.py", "high/new.py"])
def test_a_change_of_what_is_not_imported_changes_nothing(package, changed):
    folder, name = package
    before = code_digest(f"{name}.high.component")
    (folder / changed).write_text("X = 1\n")
    assert code_digest(f"{name}.high.component") == before


def test_modules_that_import_each_other_end(package):
    folder, name = package
    (folder / "high/metric.py").write_text("from . import component\n")
    assert code_digest(f"{name}.high.metric") == code_digest(f"{name}.high.component")


def test_trainer_depends_on_every_part_of_the_model():
    from seq2seq_tfx.components import code_digest as module
    from seq2seq_tfx.components.trainer import RUN_FN

    files = module._closure((RUN_FN.rpartition(".")[0],))
    parts = ("cells", "attention", "encoders", "decoders", "losses", "search", "seq2seq")
    assert {f"seq2seq_tfx.models.{part}" for part in parts} <= set(files)
