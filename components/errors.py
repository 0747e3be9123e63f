"""Errors that are the user's to mend, told without a traceback."""

from __future__ import annotations


class PipelineError(Exception):
    """A run cannot go on; the message says what was expected, what came and what to do."""
