"""The environment of a process of ours: what TensorFlow and Keras read, and a job's secrets."""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from pathlib import Path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r'''"((?:[^"\\]|\\.)*)"''')
_LITERAL = re.compile(r"'([^']*)'")


def prepare() -> None:
    """Sets it, and UTF-8 as what is printed; to be called before TensorFlow or Keras come."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # answers are text in any script
        sys.stdout.reconfigure(encoding="utf-8", errors=sys.stdout.errors)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it greets with lines about absent GPUs
    os.environ["KERAS_BACKEND"] = "tensorflow"  # what is exported is a SavedModel
    # Without it TensorFlow has oneDNN's products on the newest processors alone; a training
    # step took 1.4 times as long with AVX2 (benchmarks/LOG.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    # Of the pattern that finds a folder with brackets.
    warnings.filterwarnings("ignore", "Possible nested set", FutureWarning, "apache_beam")


def read_environment(path: Path) -> list[str]:
    """Sets what a file of NAME=VALUE lines says, by systemd's rules; nothing in it is code.

    Empty lines, and those that begin with # or ;, are comments. A value may stand in quotes.

    Args:
      path: of the file; nothing is set where there is none.

    Returns:
      The lines that are left out, for people, without what stands in them: it may be secret.

    Raises:
      OSError: it is there and cannot be read.
    """
    try:
        lines = path.read_text("utf-8", errors="surrogateescape").split("\n")
    except FileNotFoundError:
        return []
    faults = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line[0] in "#;":
            continue
        name, _, text = line.partition("=")
        value = _value(text.strip()) if "=" in line else None
        if value is None or "\0" in value or not _NAME.fullmatch(name.strip()):
            faults.append(f"{path}:{number}: expected NAME=VALUE; the line is left out")
        else:
            os.environ[name.strip()] = value
    prepare()  # which has the last word
    return faults


def _value(text: str) -> str | None:
    """A value without its quotes; None where they do not close at its end."""
    if literal := _LITERAL.fullmatch(text):
        return literal[1]
    if quoted := _QUOTED.fullmatch(text):
        return re.sub(r'\\(["\\`$])', r"\1", quoted[1])
    if text[:1] in ("'", '"'):
        return None
    return re.sub(r"\\(.)", r"\1", text)
