"""How much one request may ask for, and how much the server holds at once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from .errors import invalid


@dataclass(frozen=True)
class Limits:
    """What keeps one client from taking the server from all others."""

    request_bytes: int = 4 << 20  # gRPC's own default
    rows: int = 256  # of one request
    text_bytes: int = 16_384  # of one string
    batch_rows: int = 32  # decoded together
    # Decoded at once by a version; a band that decodes none begins one all the same.
    batches: int = field(default_factory=lambda: max(2, _cores()))
    # What may wait in a band; more is answered UNAVAILABLE at once. Fewer rows would refuse a
    # burst that is answered in a third of a second, more make everybody wait under overload.
    queue_rows: int = 256
    # What those rows may take by the pace of the last full batches, where it is known, so that
    # who is taken under overload has an answer about as soon as before it.
    queue_seconds: float = 0.3
    # While a version has fewer rows in hand than these they may take longer: so many clients
    # that ask one thing after another are all answered, as by a server that is just busy.
    burst_rows: int = 128
    burst_seconds: float = 3.0
    few_rows: int = 8  # may wait in any case: many long ones do not keep short ones out
    seconds: float = 30.0  # of one request, unless its own deadline is shorter
    body_seconds: float = 10.0  # for a REST body to arrive

    def check(self, inputs: dict[str, np.ndarray]) -> int:
        """Refuses inputs that are too large, or that do not belong together.

        Args:
          inputs: arrays whose first axis is rows.

        Returns:
          The rows.

        Raises:
          RequestError: INVALID_ARGUMENT.
        """
        counts = {name: len(values) for name, values in inputs.items()}
        if len(set(counts.values())) > 1:
            raise invalid(f"expected as many rows of every input, received {counts}")
        rows = next(iter(counts.values()), 0)
        if rows > self.rows:
            raise invalid(f"expected at most {self.rows} rows in a request, received {rows}")
        for name, values in inputs.items():
            if values.dtype == object:
                longest = max(map(len, values.flat), default=0)
                if longest > self.text_bytes:
                    raise invalid(
                        f"{name}: expected strings of at most {self.text_bytes} bytes, "
                        f"received one of {longest}"
                    )
        return rows

    def check_bytes(self, received: int) -> None:
        """Refuses a request whose encoding is too large.

        Raises:
          RequestError: INVALID_ARGUMENT.
        """
        if received > self.request_bytes:
            raise invalid(
                f"expected a request of at most {self.request_bytes} bytes, received {received}"
            )


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
