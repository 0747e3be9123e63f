"""A small job as a file, and what is told of it."""

from pathlib import Path

import pytest

from seq2seq_tfx.pipeline.config import ConfigurationError, load_config

GOOD = """\
name: job
data:
  input: pairs.tsv
gate:
  thresholds:
    bleu: {min: 1}
"""


def load(text):
    Path("job.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config("job.yaml")


def problems_of(text):
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def problem_of(text):
    (problem,) = problems_of(text)
    return problem
