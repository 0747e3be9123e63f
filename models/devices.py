"""What the backend computes on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import keras


def on_cpu() -> bool:
    """Whether there are CPUs alone: a GPU wants few large ops, and a TPU no shape that varies."""
    return all(device.startswith("cpu") for device in _devices())


def on_gpu() -> bool:
    """Whether there is a GPU."""
    return any(device.startswith(("gpu", "cuda")) for device in _devices())


@cache
def has_avx512() -> bool:
    """Whether this processor has AVX-512, as Linux tells; elsewhere it counts as one without."""
    try:
        return " avx512f " in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def _devices() -> list[str]:
    devices: list[str] = keras.distribution.list_devices()
    return [device.lower() for device in devices]
