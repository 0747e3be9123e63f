"""Makes a change of code a change of inputs, so that the cache sees it.

TFX caches a component by its inputs and parameters. The code that it runs is
neither, so each component here carries the digest of it.
"""

from __future__ import annotations

import ast
import hashlib
from importlib.util import find_spec
from pathlib import Path


def code_digest(*modules: str) -> str:
    """The SHA-256 of modules and of all that they import of ours, 16 hexadecimal digits.

    Args:
      *modules: full names, as in `__name__`.
    """
    digest = hashlib.sha256()
    for name, file in sorted(_closure(modules).items()):
        digest.update(f"{name}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _closure(modules: tuple[str, ...]) -> dict[str, Path]:
    """The files of modules and of what they import, however far."""
    files: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in files and (file := _file_of(name)):
            files[name] = file
            waiting += _imports(name, file)
    return files


def _imports(name: str, file: Path) -> list[str]:
    """What a module imports relatively: ours does it in no other way."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    found = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            module = ".".join([*base, *filter(None, [node.module])])
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return found


def _file_of(name: str) -> Path | None:
    """The source of a module; None for a name that is no module, such as a function's."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # its parent is a module and no package
        return None
    return Path(spec.origin) if spec and spec.origin else None
