"""TFX's StatisticsGen and Transform, had to work in batches: see `batched_examples`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tfx.components.transform.executor import TransformProcessor
from tfx.components.util import tfxio_utils
from tfx.proto import example_gen_pb2

from .batched_examples import BatchedExamples, EncodeAndWrite


@contextmanager
def examples_in_batches() -> Iterator[None]:
    """StatisticsGen and Transform, run meanwhile, read in batches, and Transform writes so."""
    with (
        patch.object(tfxio_utils, "make_tfxio", _make),
        patch.object(TransformProcessor, "_EncodeAndWrite", staticmethod(EncodeAndWrite)),
    ):
        yield


def _make(*, file_pattern: Any, schema: Any, payload_format: int, **_: Any) -> BatchedExamples:
    assert payload_format == example_gen_pb2.FORMAT_TF_EXAMPLE, payload_format
    return BatchedExamples(file_pattern, schema=schema)
