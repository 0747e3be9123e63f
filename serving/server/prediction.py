"""What both interfaces do with a request once they have read it."""

from __future__ import annotations

import logging
import time

import numpy as np
from grpc import StatusCode

from ...models import features
from .errors import RequestError, invalid
from .limits import Limits
from .log import REQUESTS
from .metrics import Metrics
from .servable import Signature
from .versions import Version


def signature_of(version: Version, name: str, otherwise: StatusCode) -> tuple[str, Signature]:
    """A signature by the name that a request gives; '' is `serving_default`.

    Args:
      version: one that answers.
      name: of the signature.
      otherwise: the code where there is none such; upstream's differ by interface.
    """
    assert version.servable is not None
    name = name or features.SERVING_SIGNATURE
    if name not in version.servable.signatures:
        raise RequestError(
            otherwise,
            f'Serving signature name: "{name}" not found; '
            f"expected one of {sorted(version.servable.signatures)}",
        )
    return name, version.servable.signatures[name]


async def answer(
    version: Version,
    signature: str,
    inputs: dict[str, np.ndarray],
    limits: Limits,
    metrics: Metrics,
    seconds: float | None = None,
) -> dict[str, np.ndarray]:
    """Answers a request that was read.

    Args:
      version: in use by the caller.
      signature: its name.
      inputs: an array for each input of the signature, of its type and rank.
      limits: of one request.
      metrics: where rows are counted.
      seconds: what is left of the client's own deadline; None without one.

    Raises:
      RequestError: whatever the reason.
    """
    assert version.servable is not None and version.batcher is not None
    rows = limits.check(inputs)
    joins = version.servable.joins[signature]
    if not joins and rows > limits.batch_rows:
        raise invalid(
            f"expected at most {limits.batch_rows} rows for '{signature}', received {rows}"
        )
    seconds = limits.seconds if seconds is None else min(seconds, limits.seconds)
    deadline = time.monotonic() + seconds
    if REQUESTS.isEnabledFor(logging.INFO):
        REQUESTS.info("asked", extra={"signature": signature, "text": _texts(inputs)})
    outputs = await version.batcher.answer(signature, joins, inputs, deadline)
    metrics.rows.labels(signature).inc(rows)
    if features.TEXT in inputs:
        metrics.text_bytes.labels(signature).inc(sum(map(len, inputs[features.TEXT])))
    return outputs


def _texts(inputs: dict[str, np.ndarray]) -> dict[str, list[str]]:
    return {
        name: [value.decode("utf-8", "replace") for value in values.flat]
        for name, values in inputs.items()
        if values.dtype == object
    }
