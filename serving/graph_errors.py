"""What TensorFlow says of a graph that failed, as people want to read it."""

from __future__ import annotations

import re

_PLACE = re.compile(r"\s*\n\t \[\[.*", re.DOTALL)  # the nodes that it came through
_BEFORE = re.compile(
    r"^Graph execution error:\s*(Detected at node .*?\n<stack traces unavailable>\s*)?", re.DOTALL
)


def said_of_graph(message: str) -> str:
    """A message of TensorFlow's in one line, without the nodes that it came through.

    Args:
      message: as an error has it; of a failed assertion its own words are what counts.
    """
    words = " ".join(_BEFORE.sub("", _PLACE.sub("", message)).split())
    asserted = re.fullmatch(r"assertion failed: \[(.*)\]", words)
    return asserted[1] if asserted else words
