"""Imports run one way: models <- serving <- components <- pipeline, and report beside serving."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "models": set(),
    "report": {"models"},
    "serving": {"models"},
    "components": {"models", "report", "serving"},
    "pipeline": {"models", "report", "serving", "components"},
}
ROOMS = list(MAY_IMPORT)
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


PARTS_OF_TWINS = ("recurrence_packed", "recurrence_packing")


def imported_modules(path):
    """Absolute dotted names of all that a file imports, wherever in it."""
    package = ["seq2seq_tfx", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below_it(path):
    room = path.relative_to(ROOT).parts[0]
    others = set(ROOMS) - MAY_IMPORT[room] - {room}
    for module in imported_modules(path):
        assert not any(module.startswith(f"seq2seq_tfx.{other}") for other in others), module


@pytest.mark.parametrize(
    ("rooms", "forbidden"),
    [
        (
            ["models", "report"],
            {"tfx", "apache_beam", "tensorflow", "tensorflow_text", "ml_metadata"},
        ),
        (["serving"], {"tfx", "apache_beam", "ml_metadata"}),
    ],
)
def test_a_room_knows_nothing_of_what_is_above_it(rooms, forbidden):
    for path in FILES:
        # A faster twin, for TensorFlow alone, of a function that stands elsewhere; parts of
        # a twin have its name and their own.
        if path.stem.endswith("_tensorflow"):
            name = path.stem.removesuffix("_tensorflow")
            twin = name if name not in PARTS_OF_TWINS else name.partition("_")[0]
            for known in (f"{twin}.py", f"{twin}_tensorflow.py"):
                assert (path.parent / known).exists(), path
        elif path.relative_to(ROOT).parts[0] in rooms:
            found = {module.partition(".")[0] for module in imported_modules(path)}
            assert not found & forbidden, path


def test_only_the_command_line_knows_the_dashboard():
    for path in FILES:
        folder = path.relative_to(ROOT).parts[:-1]
        if folder != ("report", "dashboard") and folder[0] != "pipeline":
            for module in imported_modules(path):
                assert not module.startswith("seq2seq_tfx.report.dashboard"), path


@pytest.mark.slow
def test_browsing_imports_neither_tensorflow_nor_tfx():
    check = (
        "import sys; from seq2seq_tfx.pipeline import dashboard_command as command; "
        "command.load_library(); "
        "assert not {'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
