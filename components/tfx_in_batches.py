"""TFX's StatisticsGen and Transform, had to work in batches: see `batched_examples`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    usual = tfxio_utils.make_tfxio
    with (
        patch.object(tfxio_utils, "make_tfxio", _maker(usual)),
        patch.object(TransformProcessor, "_EncodeAndWrite", staticmethod(EncodeAndWrite)),
    ):
        yield


def _maker(usual: Callable[..., Any]) -> Callable[..., Any]:
    def make(*, payload_format: int, read_as_raw_records: bool = False, **others: Any) -> Any:
        if payload_format != example_gen_pb2.FORMAT_TF_EXAMPLE or read_as_raw_records:
            # None of ours.
            return usual(
                payload_format=payload_format, read_as_raw_records=read_as_raw_records, **others
            )
        return BatchedExamples(others["file_pattern"], schema=others["schema"])

    return make
