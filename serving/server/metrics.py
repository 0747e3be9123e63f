"""What the server counts, for Prometheus."""

from __future__ import annotations

from grpc import StatusCode
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._known: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        # Memory and file descriptors of the process.
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "seq2seq_serving_requests",
            "Requests by interface (grpc, rest or page), method and canonical code.",
            ["api", "method", "code"],
            registry=registry,
        )
        self.seconds = Histogram(
            "seq2seq_serving_request_seconds",
            "From the arrival of a request to its answer.",
            ["api", "method"],
            buckets=SECONDS,
            registry=registry,
        )
        self.rows = Counter(
            "seq2seq_serving_rows", "Sources answered.", ["signature"], registry=registry
        )
        self.text_bytes = Counter(
            "seq2seq_serving_text_bytes",
            "Bytes of the sources answered.",
            ["signature"],
            registry=registry,
        )
        self.tokens = Counter(
            "seq2seq_serving_tokens",
            "Tokens of the sources decoded and of their best answers, by side (source or target), "
            "without EOS.",
            ["signature", "side"],
            registry=registry,
        )
        self.batch_rows = Histogram(
            "seq2seq_serving_batch_rows",
            "Rows that were decoded together.",
            buckets=ROWS,
            registry=registry,
        )
        self.queue_rows = Gauge(
            "seq2seq_serving_queue_rows", "Rows that wait for a batch.", registry=registry
        )
        self.version_available = Gauge(
            "seq2seq_serving_version_available",
            "1 for each version that answers, 0 once it no longer does.",
            ["model", "version"],
            registry=registry,
        )

    def observe(self, api: str, method: str, code: StatusCode, seconds: float) -> None:
        """Counts a request that has its answer."""
        key = api, method, code.name
        if key not in self._known:  # prometheus_client takes its time to find them
            self._known[key] = self.requests.labels(*key), self.seconds.labels(api, method)
        requests, histogram = self._known[key]
        requests.inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
