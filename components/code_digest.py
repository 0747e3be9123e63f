"""Makes a change of code a change of inputs, so that the cache sees it.

TFX caches a component by its inputs and parameters. Functions it is given by
name are neither, so each component here carries the digest of the code it runs.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from importlib.abc import Traversable

PACKAGE = "seq2seq_tfx"


def code_digest(*modules: str) -> str:
    """The SHA-256 of the source of modules and rooms, 16 hexadecimal digits.

    Args:
      *modules: names inside the package: a room ('models', all of its modules
        are read) or one module of a room ('components.gate').
    """
    digest = hashlib.sha256()
    for module in modules:
        room, _, name = module.partition(".")
        folder = resources.files(f"{PACKAGE}.{room}")
        files = [folder / f"{name}.py"] if name else _sources(folder)
        for file in files:
            digest.update(f"{room}/{file.name}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _sources(folder: Traversable) -> list[Traversable]:
    found = (file for file in folder.iterdir() if file.name.endswith(".py"))
    return sorted(found, key=lambda file: file.name)
