"""What is run as a script, as a module."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def script(path):
    """Loads one by its path below the root, without its ending."""
    file = ROOT / f"{path}.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
