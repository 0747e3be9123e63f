"""What the backend computes on."""

from __future__ import annotations

import keras


def on_cpu() -> bool:
    """Whether there are CPUs alone: a GPU wants few large ops, and a TPU no shape that varies."""
    return all(device.startswith("cpu") for device in _devices())


def on_gpu() -> bool:
    """Whether there is a GPU."""
    return any(device.startswith(("gpu", "cuda")) for device in _devices())


def _devices() -> list[str]:
    devices: list[str] = keras.distribution.list_devices()
    return [device.lower() for device in devices]
