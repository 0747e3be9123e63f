"""What TensorFlow computes on."""

from __future__ import annotations

import tensorflow as tf


def on_cpu() -> bool:
    """Whether there are CPUs alone: a GPU wants few large ops, and a TPU no shape that varies."""
    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())
