"""Which threads go first where there are more than cores."""

from __future__ import annotations

import os
import sys
import threading

NICE = 10  # beyond the lowest there is, the system takes that


def give_way() -> None:
    """Lets this thread, and those that it starts, wait for the one that talks to clients.

    What cannot be answered in time is then refused at once, however busy the model is:
    otherwise requests pile up where nobody has looked at them yet. TensorFlow's threads
    belong to whoever loads the first model. Linux alone gives threads a niceness.
    """
    if sys.platform == "linux":
        this = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, this, os.getpriority(os.PRIO_PROCESS, this) + NICE)
