"""How a request over HTTP ended: its code, counted, and what its client is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from grpc import StatusCode

from .errors import HTTP_STATUS, RequestError
from .metrics import Metrics

LOG = logging.getLogger(__name__)


@dataclass
class Outcome:
    """Of one request; a fault of the server unless it is said otherwise."""

    method: str = "malformed"
    code: StatusCode = StatusCode.INTERNAL
    message: str = "internal error; the server's log has more"

    @property
    def is_answered(self) -> bool:
        """Whether the client gets what it asked for."""
        return self.code is StatusCode.OK

    @property
    def status(self) -> int:
        """Of HTTP."""
        return 200 if self.is_answered else HTTP_STATUS[self.code]


@contextmanager
def counted(metrics: Metrics, api: str) -> Iterator[Outcome]:
    """Holds what is done for a request: no failure of it leaves, and each is counted.

    Args:
      metrics: where it is counted.
      api: under which.
    """
    start, outcome = time.perf_counter(), Outcome()
    try:
        yield outcome
        outcome.code = StatusCode.OK
    except RequestError as error:
        outcome.code, outcome.message = error.code, error.message
    except ConnectionError:  # whoever asked has gone
        outcome.code, outcome.message = StatusCode.CANCELLED, "the connection was closed"
    except asyncio.CancelledError:
        outcome.code = StatusCode.CANCELLED
        raise
    except Exception:
        LOG.exception("internal error", extra={"api": api, "method": outcome.method})
    finally:
        metrics.observe(api, outcome.method, outcome.code, time.perf_counter() - start)
