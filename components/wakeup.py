"""Keeps TensorFlow's thread pools going where the C library may lose a wake-up.

glibc before 2.41 can fail to wake a thread that waits on a condition variable
(glibc bug 25847). A pool of TensorFlow's then sleeps with work in its queue, and
a fit stands still, for seconds or for good, until something else is scheduled
there. So something is, twice a second, at the cost of a small matrix product.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

INTERVAL = 0.5  # seconds
MENDED = (2, 41)


@contextmanager
def kept_awake() -> Iterator[None]:
    """Nudges the pools for as long as the context lasts, where that is needed."""
    if not loses_wakeups():
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_nudge_until, args=(stop,), name="wakeup", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def loses_wakeups() -> bool:
    """Whether this process runs on a glibc with the bug."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return name == "glibc" and tuple(map(int, version.split(".")[:2])) < MENDED
    except ValueError:
        return False


def _nudge_until(stop: threading.Event) -> None:
    @tf.function
    def nudge(x: tf.Tensor) -> tf.Tensor:
        # Two branches for the pool of operations, large enough for that of their parts.
        return tf.reduce_sum(tf.matmul(x, x)) + tf.reduce_sum(tf.matmul(x, x, transpose_b=True))

    with tf.device("CPU:0"):
        x = tf.ones([192, 192])
        while not stop.wait(INTERVAL):
            nudge(x)
