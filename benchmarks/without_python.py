"""A SavedModel in a process without Python, by TensorFlow's C interface.

That interface loads by the C++ function that TensorFlow Serving loads by (`LoadSavedModel`),
with tensorflow-text's operations beside it, which Serving has in its binary. The program is
`without_python.c`; it is compiled against the TensorFlow that is installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from seq2seq_tfx.models import features

PROGRAM = Path(__file__).with_suffix(".c")

Arrays = Mapping[str, np.ndarray]
Request = tuple[str, Arrays]  # the name of a signature, and its inputs


def without_python(directory: Path, requests: Sequence[Request], folder: Path) -> list[Arrays]:
    """Answers requests in a new process.

    Args:
      directory: of a SavedModel.
      requests: in their order; strings as bytes in arrays of objects.
      folder: where the program is put.

    Returns:
      The outputs of each, by name.

    Raises:
      RuntimeError: it cannot be compiled or loaded, or does not answer, with what was said.
    """
    program = folder / "without_python"
    if not program.exists():
        _run(_compiler(program))
    graph = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    (signatures,) = (meta.signature_def for meta in graph.meta_graphs)
    asked = [(signatures[name], inputs) for name, inputs in requests]
    libraries = sorted(Path(tensorflow_text.__file__).parent.glob("python/ops/_*.so"))
    sent = b"".join(_request(signature, inputs) for signature, inputs in asked)
    replies = _Replies(_run([str(program), str(directory), *map(str, libraries)], sent))
    return [{name: replies.tensor() for name in _outputs(signature)} for signature, _ in asked]


def best_answers(
    directory: Path, batches: Sequence[Sequence[str]], folder: Path
) -> list[tuple[str, float]]:
    """The answers of `serving_default`, with their scores.

    Args:
      directory: of a SavedModel.
      batches: of sources.
      folder: where the program is put.
    """
    requests: list[Request] = [
        (
            features.SERVING_SIGNATURE,
            {features.TEXT: np.array([source.encode() for source in batch], object)},
        )
        for batch in batches
    ]
    return [
        (text.decode(), float(score))
        for answer in without_python(directory, requests, folder)
        for text, score in zip(answer[features.TEXT], answer[features.SCORE], strict=True)
    ]


def _compiler(program: Path) -> list[str]:
    folder = Path(tf.sysconfig.get_lib())
    libraries = [
        str(next(folder.glob(f"libtensorflow_{part}.so*"))) for part in ("cc", "framework")
    ]
    return [
        *("cc", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{tf.sysconfig.get_include()}"),
        *(str(PROGRAM), *libraries, f"-Wl,-rpath,{folder}", "-o", str(program)),
    ]


def _run(command: list[str], sent: bytes = b"") -> bytes:
    # Nothing of this process's environment but where to find compilers.
    environment = {"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, input=sent, capture_output=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit code {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def _outputs(signature: meta_graph_pb2.SignatureDef) -> list[str]:
    return sorted(signature.outputs)


def _request(signature: meta_graph_pb2.SignatureDef, inputs: Arrays) -> bytes:
    fed = [
        _string(signature.inputs[name].name.encode()) + _tensor(values)
        for name, values in inputs.items()
    ]
    fetched = [_string(signature.outputs[name].name.encode()) for name in _outputs(signature)]
    return b"".join([_int(len(fed)), *fed, _int(len(fetched)), *fetched])


def _tensor(values: np.ndarray) -> bytes:
    kind = tf.string if values.dtype == object else tf.as_dtype(values.dtype)
    head = _int(kind.as_datatype_enum) + _int(values.ndim) + np.array(values.shape, "<i8").tobytes()
    if values.dtype == object:
        return head + b"".join(map(_string, values.ravel()))
    return head + values.tobytes()


def _int(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _string(value: bytes) -> bytes:
    return _int(len(value)) + value


class _Replies:
    """Reads tensors from what the program wrote."""

    def __init__(self, content: bytes):
        self._content = content
        self._at = 0

    def tensor(self) -> np.ndarray:
        kind = tf.as_dtype(self._int())
        shape = np.frombuffer(self._bytes(8 * self._int()), "<i8")
        size = int(np.prod(shape))
        if kind == tf.string:
            values = np.array([self._bytes(self._int()) for _ in range(size)], object)
        else:
            values = np.frombuffer(self._bytes(size * kind.size), kind.as_numpy_dtype)
        return values.reshape(shape)

    def _int(self) -> int:
        return int.from_bytes(self._bytes(4), "little")

    def _bytes(self, count: int) -> bytes:
        self._at += count
        assert self._at <= len(self._content)
        return self._content[self._at - count : self._at]
