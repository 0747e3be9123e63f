"""What a runner decides of the one pipeline: where things go, and where earlier runs are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.types import BaseChannel

from ..components.baseline import baseline_resolver
from ..components.previous_span import previous_span_resolver
from .beam_args import BEAM_ARGS
from .run_folder import ARTIFACTS, EXPORTS, METADATA, SERVING

if TYPE_CHECKING:
    from .config import PipelineConfig


class Binding(NamedTuple):
    """All in which the pipeline differs from runner to runner."""

    artifacts: str  # folder or URI
    serving: str  # where versions are pushed, as TensorFlow Serving wants them
    exports: str  # the folder of other forms of them
    metadata: Any | None  # the connection, where this machine keeps the records
    baseline: Callable[[BaseChannel], BaseNode]  # of a candidate; has an output `model`
    previous_span: Callable[[BaseChannel], BaseNode]  # of examples; has an output `report`
    spans: Any | None = None  # a parameter, where the run itself asks for spans
    beam_args: Sequence[str] = BEAM_ARGS


def here(config: PipelineConfig, output: Path) -> Binding:
    """The pipeline in a folder of this machine, with its own ML Metadata."""
    connection = metadata.sqlite_metadata_connection_config(str(metadata_path(output)))
    return Binding(
        artifacts=str(output / ARTIFACTS),
        serving=str(serving_dir(config, output)),
        exports=str(output / EXPORTS),
        metadata=connection,
        baseline=baseline_resolver,
        previous_span=previous_span_resolver,
    )


def serving_dir(config: PipelineConfig, output: Path) -> Path:
    """Where versions of the model are pushed, as TensorFlow Serving wants them."""
    return output / SERVING / config.serving.model_name


def metadata_path(output: Path) -> Path:
    """Where the runs are recorded."""
    return output / METADATA
