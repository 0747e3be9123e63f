"""What TensorBoard shows of a training: curves, what the model says, where it looks.

Written as `tf.summary.scalar`, `text` and `image` would, which want TensorBoard installed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import tensorflow as tf
from tensorflow.core.framework import summary_pb2


def _metadata(plugin: str, data_class: int) -> summary_pb2.SummaryMetadata:
    return summary_pb2.SummaryMetadata(plugin_data={"plugin_name": plugin}, data_class=data_class)


_SCALAR = _metadata("scalars", summary_pb2.DATA_CLASS_SCALAR)
_TEXT = _metadata("text", summary_pb2.DATA_CLASS_TENSOR)
_IMAGE = _metadata("images", summary_pb2.DATA_CLASS_BLOB_SEQUENCE)


class Curves:
    """Writes events.

    Args:
      folder: made if there is anything to show.
    """

    def __init__(self, folder: str):
        self._writer = tf.summary.create_file_writer(folder)

    def points(self, step: int, points: Mapping[str, float]) -> None:
        """Adds a point to each curve."""
        with self._writer.as_default(step):
            for name, value in points.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=_SCALAR)

    def table(self, step: int, name: str, rows: Sequence[Sequence[str]]) -> None:
        """Adds a table, its first row a header; TensorBoard reads cells as Markdown."""
        cells = [[_literally(cell) for cell in row] for row in rows]
        with self._writer.as_default(step):
            tf.summary.write(name, tf.constant(cells, tf.string), metadata=_TEXT)

    def picture(self, step: int, name: str, png: bytes) -> None:
        """Adds a picture."""
        width, height = struct.unpack_from(">II", png, 16)  # of its first chunk, IHDR
        parts = [str(width), str(height), png]
        with self._writer.as_default(step):
            tf.summary.write(name, tf.constant(parts, tf.string), metadata=_IMAGE)

    def flush(self) -> None:
        """Writes what waits."""
        self._writer.flush()


def _literally(text: str) -> str:
    """Markdown that shows a text as it is."""
    marked = "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+-.!|~" else letter for letter in text)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
