"""Sentences of one run, for all that looks at them."""

import random

import pytest

from seq2seq_tfx.report.dashboard.sentences import Sentences

from .evaluated import row, write


@pytest.fixture(scope="module")
def rows():
    generator = random.Random(5)
    return [row(i, generator, domain=i > 60) for i in range(120)]


@pytest.fixture(scope="module")
def sentences(rows, tmp_path_factory):
    # No sentence of the first shard is in the slice that those of the second are in.
    return Sentences(write(tmp_path_factory.mktemp("s") / "a", rows[:60], rows[60:]))
