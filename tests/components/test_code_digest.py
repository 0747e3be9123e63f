"""The promises of code digests: a change of the code a component runs is seen, no other."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from seq2seq_tfx.components import code_digest as code_digest_module
from seq2seq_tfx.components import errors
from seq2seq_tfx.components.code_digest import code_digest

PACKAGE = "seq2seq_tfx"
ROOMS = ("models", "serving", "components", "pipeline")
ROOT = Path(inspect.getfile(errors)).parent.parent
# Contracts and bookkeeping, of which no output's content is made.
EXEMPT = {
    "components.artifacts", "components.errors", "components.progress",
    "components.code_digest", "models.configuration",
}  # fmt: skip


@pytest.fixture
def rooms(tmp_path, monkeypatch, request):
    """A package of two rooms, under a name no other test has imported."""
    name = f"fake_{abs(hash(request.node.name))}"
    for room in ("models", "components"):
        folder = tmp_path / name / room
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "one.py").write_text("A = 1\n")
        (folder / "two.py").write_text("B = 2\n")
        (folder / "notes.txt").write_text("no code")
    (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(code_digest_module, "PACKAGE", name)
    return tmp_path / name


def test_the_same_code_has_the_same_digest(rooms):
    assert code_digest("models", "components.one") == code_digest("models", "components.one")
    assert code_digest("models") != code_digest("components") != code_digest("components.one")


@pytest.mark.parametrize("asked", [["components.one"], ["components"], ["models", "components"]])
def test_a_changed_byte_changes_the_digest(rooms, asked):
    before = code_digest(*asked)
    (rooms / "components/one.py").write_text("A = 2\n")
    changed = code_digest(*asked)
    assert changed != before
    (rooms / "components/one.py").write_text("A = 1\n")
    assert code_digest(*asked) == before


def test_an_added_removed_or_renamed_file_changes_the_digest_of_its_room(rooms):
    digests = [code_digest("models")]
    (rooms / "models/three.py").write_text("")
    digests.append(code_digest("models"))
    (rooms / "models/three.py").rename(rooms / "models/four.py")
    digests.append(code_digest("models"))
    (rooms / "models/one.py").unlink()
    digests.append(code_digest("models"))
    assert len(set(digests)) == 4


def test_text_moved_from_one_file_to_the_next_changes_the_digest(rooms):
    before = code_digest("models")
    (rooms / "models/one.py").write_text("A = 1\nB = 2\n")
    (rooms / "models/two.py").write_text("")
    assert code_digest("models") != before


def test_what_was_not_asked_for_changes_nothing(rooms):
    before = code_digest("models"), code_digest("components.one")
    (rooms / "components/two.py").write_text("B = 3\n")
    (rooms / "components/three.py").write_text("")
    (rooms / "components/notes.txt").write_text("changed")
    (rooms / "models/notes.txt").write_text("changed")
    assert (code_digest("models"), code_digest("components.one")) == before


def test_a_name_that_is_no_module_is_refused(rooms):
    with pytest.raises(FileNotFoundError):
        code_digest("components.three")


# The rest reads the project's own source.


def path_of(module):
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def tree_of(module):
    return ast.parse(path_of(module).read_text("utf-8"))


def imports_of(module):
    """The first-party modules that a module imports, or names for TFX to import."""
    room = module.split(".")[0]
    for node in ast.walk(tree_of(module)):
        names = []
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = (room,) if node.level == 1 else ()
            elif (node.module or "").split(".")[0] == PACKAGE:
                base = ()
            else:
                continue
            within = [part for part in (node.module or "").split(".") if part and part != PACKAGE]
            stem = ".".join((*base, *within))
            names = [stem, *(f"{stem}.{alias.name}".lstrip(".") for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name.removeprefix(f"{PACKAGE}.") for alias in node.names]
        elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{PACKAGE}."):
            parts = node.value.split(".")[1:]
            names = [".".join(parts[:n]) for n in range(2, len(parts) + 1)]
        for name in names:
            if name.split(".")[0] in ROOMS and path_of(name).is_file():
                yield name


def needed_by(module):
    """All that a module imports, and what that imports, itself included."""
    needed, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in needed | EXEMPT:
            needed.add(name)
            waiting += imports_of(name)
    return needed


def declared_by(module):
    """What a module gives to `code_digest`, or None if it never calls it."""
    calls = [
        node.args
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "code_digest"
    ]
    return [ast.literal_eval(argument) for call in calls for argument in call] if calls else None


COMPONENTS = sorted(
    module
    for path in (ROOT / "components").glob("*.py")
    if declared_by(module := f"components.{path.stem}") is not None
)


def test_the_imports_are_seen():
    assert {"models.features", "components.metrics"} <= set(imports_of("components.evaluator"))
    assert "components.run_fn" in imports_of("components.trainer")  # by its name
    assert "serving.model_check" in imports_of("components.infra_validator")
    assert "models.attention" in needed_by("components.trainer")


def test_every_component_of_ours_declares_its_code():
    of_ours = {
        f"components.{path.stem}"
        for path in (ROOT / "components").glob("*.py")
        if "SPEC_CLASS" in path.read_text("utf-8")
    }
    assert set(COMPONENTS) == of_ours and of_ours


@pytest.mark.parametrize("module", COMPONENTS)
def test_all_that_is_declared_exists(module):
    for name in declared_by(module):
        assert path_of(name).is_file() if "." in name else name in ROOMS
        importlib.import_module(f"{PACKAGE}.{name}")


@pytest.mark.parametrize("module", COMPONENTS)
def test_all_code_that_a_component_runs_is_in_its_digest(module):
    declared = set(declared_by(module))
    missing = {name for name in needed_by(module) if not declared & {name, name.split(".")[0]}}
    assert not missing
