"""What the backend computes on."""

from __future__ import annotations

import keras


def on_cpu() -> bool:
    """Whether there are CPUs alone: a GPU wants few large ops, and a TPU no shape that varies."""
    devices: list[str] = keras.distribution.list_devices()
    return all(device.lower().startswith("cpu") for device in devices)
