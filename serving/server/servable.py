"""One version of a model, loaded as TensorFlow Serving loads it: into a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that the graph holds

from ..graph_errors import said_of_graph
from ..warm_up import WarmUp, read_warm_up, warm_up_requests
from .errors import RequestError, code_of, invalid

# A batch is decoded in the thread that asks for it. TensorFlow's own threads hand each of
# its thousands of small operations on, and those of several batches take turns: see
# serving/README.md, "What was measured".
OPTIONS = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=-1)
INIT_SIGNATURE = "__saved_model_init_op"  # the loader's own; no client may call it


class BrokenModel(Exception):
    """A version that cannot be loaded, or does not answer as it must."""


class Tensor(NamedTuple):
    """An input or output of a signature."""

    name: str  # in the graph
    dtype: tf.DType
    shape: tuple[int | None, ...] | None  # None is any: a size, or the whole

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether values may have this shape."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            expected in (None, size) for expected, size in zip(self.shape, shape, strict=True)
        )


class Signature(NamedTuple):
    """What a client may call."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    @property
    def joins(self) -> bool:
        """Whether rows of several requests can be answered as one batch.

        They can where nothing but the number of rows depends on who asks: an output
        that is padded to the longest answer of its batch would tell of the others.
        """
        shapes = [tensor.shape for tensor in (*self.inputs.values(), *self.outputs.values())]
        return all(shape and shape[0] is None and None not in shape[1:] for shape in shapes)


class Servable:
    """A loaded SavedModel.

    Args:
      version: its number.
      directory: where it is.
      options: of its session.

    Raises:
      BrokenModel: it cannot be loaded.
    """

    def __init__(
        self,
        version: int,
        directory: Path,
        options: tf.compat.v1.ConfigProto = OPTIONS,
    ):
        if set("*?[") & set(str(directory)):
            raise BrokenModel(
                f"{directory}: expected a path without '*', '?' and '[', which TensorFlow reads "
                "as a pattern; move it, or serve a link to it"
            )
        self.version = version
        self.directory = directory
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=options)
        try:
            with self._session.graph.as_default():
                graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(directory))
            self.signature_defs = {
                name: signature
                for name, signature in graph.signature_def.items()
                if name != INIT_SIGNATURE
            }
            self.signatures = {
                name: Signature(_tensors(signature.inputs), _tensors(signature.outputs))
                for name, signature in self.signature_defs.items()
            }
            self._calls = {name: self._call(name) for name in self.signatures}
        # Whatever a damaged file makes the loader raise, the server goes on.
        except Exception as error:
            self._session.close()
            raise BrokenModel(f"{directory} cannot be loaded: {without_place(error)}") from error
        self.joins = {name: signature.joins for name, signature in self.signatures.items()}

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answers with every output of a signature.

        Args:
          signature: its name.
          inputs: an array for each of its inputs; strings as objects.

        Raises:
          RequestError: as the graph has it; INVALID_ARGUMENT where it refuses the inputs.
        """
        known = self.signatures[signature]
        try:
            values = self._calls[signature]([inputs[name] for name in known.inputs])
        except tf.errors.OpError as error:
            raise RequestError(code_of(error.error_code), without_place(error)) from error
        except UnicodeDecodeError as error:
            # A message that quotes bytes of the request, which TensorFlow cannot pass on.
            message = error.object.decode("utf-8", "replace")
            raise invalid(without_place(message)) from error
        return dict(zip(known.outputs, values, strict=True))

    def warm_up(self) -> None:
        """Answers the requests of its own export, so that no client waits for what is done once.

        Raises:
          BrokenModel: it cannot answer, or answers with what is no number.
        """
        try:
            requests = [
                WarmUp(request.model_spec.signature_name, _arrays(request.inputs))
                for request in read_warm_up(str(self.directory))
            ]
        except (ValueError, TypeError) as error:
            raise BrokenModel(f"its warm-up requests cannot be read: {error}") from error
        for name, inputs in requests or warm_up_requests():
            if name in self.signatures:
                self._try(name, inputs)

    def close(self) -> None:
        """Gives its memory back; nobody may be using it."""
        self._calls.clear()
        self._session.close()

    def _try(self, name: str, inputs: dict[str, np.ndarray]) -> None:
        try:
            outputs = self.run(name, inputs)
        except (RequestError, KeyError) as error:
            raise BrokenModel(f"{self.directory}: '{name}' fails: {error}") from error
        for key, values in outputs.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise BrokenModel(f"{self.directory}: '{name}' answers with a {key} of no number")

    def _call(self, name: str) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
        """`Session.run` of a signature, with what that looks up every time looked up once.

        It takes half a millisecond for it where its code has left the caches. This is how
        `Session.make_callable` does it, which knows no inputs.
        """

        def in_graph(tensors: dict[str, Tensor]) -> list[Any]:
            graph = self._session.graph
            return [graph.get_tensor_by_name(t.name)._as_tf_output() for t in tensors.values()]

        signature = self.signatures[name]
        inputs, outputs = in_graph(signature.inputs), in_graph(signature.outputs)

        def call(values: list[np.ndarray]) -> list[np.ndarray]:
            feeds = dict(zip(inputs, values, strict=True))
            return self._session._call_tf_sessionrun(None, feeds, outputs, [], None)

        return call


def without_place(error: BaseException | str) -> str:
    """A message of TensorFlow's in one line, without the nodes that it came through."""
    message = error.message if isinstance(error, tf.errors.OpError) else str(error)
    return said_of_graph(message or type(error).__name__)


def _tensors(infos: Any) -> dict[str, Tensor]:
    return {
        key: Tensor(info.name, tf.as_dtype(info.dtype), _shape(info.tensor_shape))
        for key, info in sorted(infos.items())
    }


def _shape(proto: Any) -> tuple[int | None, ...] | None:
    if proto.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in proto.dim)


def _arrays(protos: Any) -> dict[str, np.ndarray]:
    return {name: tf.make_ndarray(proto) for name, proto in protos.items()}
